evidence "mcp" "time" {
  command      = ["./p"]
  capabilities = "c.json"
}
evidence "mcp" " ci" {
  url          = "https://ci.example/"
  capabilities = "c.json"
}
evidence "mcp" "neither" {
  capabilities = "c.json"
  url          = ""
}
evidence "mcp" "empty" {
  command      = [""]
  env          = ["LD_PRELOAD"]
  capabilities = ""
}
evidence "mcp" "plain" {
  command      = ["./p"]
  url          = "HTTP://ci.example/"
  capabilities = "c.json"
}
evidence "mcp" "ftp" {
  url             = "ftp://ci.example/"
  capabilities    = "c.json"
  request_timeout = "1999ms"
}
evidence "mcp" "nonsense" {
  url             = "ci.example"
  bearer_token    = " "
  capabilities    = "c.json"
  connect_timeout = "99ms"
  request_timeout = "31s"
  max_concurrent  = 0
}
plugin "store" "main" {
  command = "store-sqlite"
}
