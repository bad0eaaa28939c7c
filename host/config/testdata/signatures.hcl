evidence "time" {
  accept_unsigned = true
  signatures { keys = ["a.pub"] }
}
evidence "env" {
  signatures {}
}
evidence "mcp" "ci" {
  url          = "https://ci.example/"
  capabilities = "c.json"
  signatures { keys = ["a.pub", ""] }
}
trust {
  signatures {
    keys       = ["a.pub"]
    named_keys = { "a.pub" = "b.pub" }
  }
}
plugin "store" "main" {
  command = "store-sqlite"
}
