sever {
  max_inflight = 3
}
plugin "store" "main" {
  command = "store-sqlite"
}

