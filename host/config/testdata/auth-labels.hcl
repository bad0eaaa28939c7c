plugin "store" "main" { command = "store-sqlite" }

auth {
  principal {}
  principal "CN=alice" {
    role {}
  }
}
schemas {
  acl {
    rule {}
  }
}
