evidence "mcp" "cd" {
  url          = "https://ci.example/"
  bearer_token = ["s3cret-value"]
  capabilities = "c.json"
}
plugin "store" "main" {
  command = "store-sqlite"
}
