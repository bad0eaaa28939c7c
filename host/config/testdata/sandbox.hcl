plugin "store" "main" {
  command = "store-sqlite"
  sandbox {
    network = "loopback"
    connect = [0, 65536]
    memory  = "256MB"
    files   = -1
  }
}
plugin "runpack" "fs" {
  command = "runpack-fs"
  sandbox {
    reed   = ["data"]
    memory = "1MiB"
  }
}
