server {
  http { listen = "localhost:0" }
  max_inflight  = 8
  drain_timeout = "3s"
}
plugin_dir = "plugins"
plugin "store" "main" {
  command         = ["python3", "store.py"]
  env             = ["HTTPS_PROXY"]
  sha256          = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
  health_interval = "1s"
  config {
    path = "data.db"
    sync { mode = "full" }
  }
}
plugin "runpack" "fs" {
  command = "runpack-fs"
}
evidence "time" { allow_logical = false }
evidence "env" {
  allow         = []
  max_key_bytes = 3
  values        = { NAME = "value" }
}
evidence "json" {
  root     = "files"
  root_id  = "files"
  min_lane = "asserted"
}
evidence "http" {
  allow_raw     = true
  allow_private = ["127.0.0.1/8"]
}
disclosure { raw_values = true }
namespace {
  allow_default   = true
  default_tenants = [1, 18446744073709551615]
}
validation { deep_equals = true }
anchors "json" {
  type            = "file_path_rooted"
  required_fields = ["path"]
}
runpack { dirs = ["out"] }
tools { deny = ["scenario_define"] }
discovery { deny = ["env"] }
docs {
  resources    = false
  extra_paths  = ["guides"]
  max_sections = 5
}
