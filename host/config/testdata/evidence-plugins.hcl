plugin "store" "main" {
  command = "store-sqlite"
}

plugin "evidence" "ci" {
  command = "evidence-ci"
}
plugin "evidence" "tickets" {
  command = "evidence-tickets"
}

plugin "evidence" "json" {
  command = "evidence-json"
}
