plugin "store" "main" {
  command = "store-sqlite"
}

plugin "store" "other" {
  command = "store-other"
}
