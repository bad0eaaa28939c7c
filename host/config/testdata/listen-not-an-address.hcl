server {
  http {
    listen = "example.com:80"
  }
}
plugin "store" "main" {
  command = "store-sqlite"
}

