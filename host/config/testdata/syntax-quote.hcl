plugin_dir = "unclosed
plugin "store" "main" {
  command = "store-sqlite"
}

