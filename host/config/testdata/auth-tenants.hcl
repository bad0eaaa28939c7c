auth {
  tenants = "roles"
  local {}
  principal "local:stdio" {}
}
plugin "store" "main" {
  command = "store-sqlite"
}
