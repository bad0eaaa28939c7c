plugin_signatures {
}
plugin "store" "main" {
  command = "store-sqlite"
}
