server {
  http {
    hosts = ["*", "gate.example.com"]
    tls {
      cert                = "server.pem"
      key                 = "  "
      require_client_cert = true
    }
  }
}
plugin "store" "main" {
  command = "store-sqlite"
}
