evidence "tiem" {}
plugin "store" "main" {
  command = "store-sqlite"
}

