# The host of the demo. Relative paths are relative to this file; the demo works on a copy of it in a folder of its own.
# Every block and attribute: docs/configuration.md.

server {
  http { listen = "127.0.0.1:0" } # port 0: any free port, which the host announces
}

plugin "store" "sqlite" {
  command = "store-sqlite"
  config { path = "gate.db" }
}

plugin "runpack" "fs" {
  command = "runpack-fs"
  config { path = "bundles" }
}

# Providers that conditions may ask; those that are not declared do not answer.
evidence "json" {
  root    = "evidence"
  root_id = "quickstart"
}

evidence "time" {}

evidence "env" {
  # Set to "no", and a working tree with uncommitted changes holds the run.
  values = { ALLOW_UNCOMMITTED = "yes" }
}

runpack {
  dirs = ["runpacks"] # runpack_export may write here, and nowhere else
}
