server {
  max_inflight = 
}
plugin "store" "main" {
  command = "store-sqlite"
}

