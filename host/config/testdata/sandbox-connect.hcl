plugin "store" "main" {
  command = "store-sqlite"
  sandbox {
    connect = [5432, 70000]
    memory  = "1MiB"
  }
}
