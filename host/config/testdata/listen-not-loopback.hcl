server {
  http {
    listen = "0.0.0.0:8080"
  }
}
plugin "store" "main" {
  command = "store-sqlite"
}

