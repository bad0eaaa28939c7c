plugin "store" "main" { command = "store-sqlite" }

dispatch {
  default = "error"
  rule "allow" { packet_ids = ["p"] }
  rule "deny" {}
  rule "deny" { target_kinds = [] }
  rule "error" { packet_ids = ["p"] }
  rule "permit" {
    packet_ids = ["p"]
    message    = "why"
  }
  rule "permit" { target_kinds = ["robot"] }
  rule "permit" {
    target "agents" {}
    target "external" { id = "x" }
    target "external" {}
    target "agent" { system = "s" }
    target "channel" { id = "" }
  }
}
