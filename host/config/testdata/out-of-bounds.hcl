server {
  max_body_bytes = 67108865
  max_inflight   = 0
  drain_timeout  = "11m"
}
trust {
  min_lane = "verifed"
}
anchors "json" {
  type            = "file_path_rooted"
  required_fields = []
}
anchors " json" {
  type            = "file_path_rooted"
  required_fields = ["path", "path"]
}
namespace {
  allow_default = true
}
evidence "json" {
  root    = "files"
  root_id = "My Files"
}
plugin "store" "main" {
  command = ["", "x"]
  sha256  = "d3f0a8be02f6c074cf38c9c99d4d04c9c6466249"
  env     = ["LD_PRELOAD"]
}
