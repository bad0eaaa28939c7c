server {
  http {
    listen       = "192.0.2.1:8080"
    tls_upstream = true
    hosts        = ["gate.example.com"]
  }
}
auth {
  local {}
  mtls { subjects = ["CN=alice"] }
}
plugin "store" "main" {
  command = "store-sqlite"
}
