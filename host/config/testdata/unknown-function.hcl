plugin_dir = fiel("dir")
plugin "store" "main" {
  command = "store-sqlite"
}

