plugin "store" "main" { command = "store-sqlite" }

schemas {
  acl {
    mode         = "role"
    signing      = "ed25519"
    signing_keys = { " " = "release.pub" }
    rule "permit" {}
    rule "allow" {
      actions        = ["regster"]
      tenants        = [0]
      policy_classes = ["PROD"]
      roles          = [""]
    }
  }
}
feedback {
  default        = "trace"
  max            = "summary"
  evidence_roles = [" "]
}
