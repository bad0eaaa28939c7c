server {}
server {}
evidence "time" {}
evidence "time" {}
plugin "store" "main" {
  command = "store-sqlite"
}

plugin "store" "main" {
  command = "store-other"
}
