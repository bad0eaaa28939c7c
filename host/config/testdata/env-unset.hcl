plugin_dir = env("CONFIG_TEST_UNSET")
plugin "store" "main" {
  command = "store-sqlite"
}

