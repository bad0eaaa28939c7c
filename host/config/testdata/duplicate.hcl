server {}
plugin "store" "main" {
  command = "store-sqlite"
}

server {}
evidence "time" {}
evidence "time" {}
plugin "store" "main" {
  command = "store-other"
}
trust {
  min_lane = "verified"
  min_lane = "asserted"
}
