plugin "stor" "main" {
  command = "store-sqlite"
}
