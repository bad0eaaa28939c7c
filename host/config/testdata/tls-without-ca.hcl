server {
  http {
    hosts = ["https://gate.example.com/"]
    tls {
      cert = "server.pem"
      key  = "server.key"
    }
  }
}
auth {
  mtls { subjects = ["CN=alice"] }
}
plugin "store" "main" {
  command = "store-sqlite"
}
