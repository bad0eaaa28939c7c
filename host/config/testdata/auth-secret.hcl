plugin "store" "main" { command = "store-sqlite" }

auth {
  bearer {
    tokens = [env("CONFIG_TEST_SECRET"), 12345678]
  }
}
