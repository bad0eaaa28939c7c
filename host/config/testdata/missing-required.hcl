evidence "json" {
  root = "files"
}
plugin "store" "main" {}
