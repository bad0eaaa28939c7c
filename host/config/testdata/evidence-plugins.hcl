plugin "store" "main" {
  command = "store-sqlite"
}

plugin "evidence" "ci" {
  command = "evidence-ci"
}
plugin "evidence" "tickets" {
  command = "evidence-tickets"
}
evidence "plugin" "tickets" {
  timeout = "1h"
}

plugin "evidence" "json" {
  command = "evidence-json"
}
evidence "mcp" "ci" {
  command      = "ci-provider"
  capabilities = "ci.json"
}
