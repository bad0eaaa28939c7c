plugin "store" "main" { command = "store-sqlite" }

schemas {
  acl {
    signing = "ed25519"
    rule "deny" { actions = ["register"] }
  }
}
feedback { default = "everything" }
