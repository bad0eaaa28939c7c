evidence "mcp" "ci" {
  url          = "https://ci.example/"
  bearer_token = "s3cret-value\n"
  capabilities = "c.json"
}
evidence "mcp" "cd" {
  url          = "https://user:s3cret-value@ci.example/"
  capabilities = "c.json"
}
plugin "store" "main" {
  command = "store-sqlite"
}
