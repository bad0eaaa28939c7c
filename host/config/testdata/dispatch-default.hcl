plugin "store" "main" { command = "store-sqlite" }

dispatch {
  rule "permit" { packet_ids = ["p"] }
}
