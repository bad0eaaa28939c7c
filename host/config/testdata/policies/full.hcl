plugin "store" "main" { command = "store-sqlite" }

audit {
  path              = "audit.jsonl"
  precheck_payloads = true
}

dispatch {
  default = "deny"
  rule "deny" { require_labels = ["secret"] }
  rule "error" {
    schema_ids = ["err"]
    message    = "boom"
  }
  rule "deny" {
    target "agent" {}
    target "agent" { id = "a" }
    target "external" { system = "jira" }
  }
}

development {
  accept_asserted  = true
  until            = "2026-12-31T00:00:00+01:00"
  exempt_providers = ["assets"]
}
