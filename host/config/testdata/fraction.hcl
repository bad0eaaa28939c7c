schemas { max_schema_bytes = 1.5 }
plugin "store" "main" {
  command = "store-sqlite"
}

