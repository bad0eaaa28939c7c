evidence "mcp" {
  capabilities = "c.json"
}
evidence "mcp" "ci" {
  url          = "https://ci.example/"
  capabilities = "c.json"
}
evidence "mcp" "ci" {
  url          = "https://ci.example/"
  capabilities = "c.json"
}
evidence "time" "again" {}
evidence "mpc" "cd" {}
evidence "mcp" "cd" {
  ulr = "https://ci.example/"
}
plugin "store" "main" {
  command = "store-sqlite"
}
