server {
  max_inflght = 3
}
plugin "store" "main" {
  command = "store-sqlite"
}

