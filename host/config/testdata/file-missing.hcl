plugin_dir = file("no-such-file")
plugin "store" "main" {
  command = "store-sqlite"
}

