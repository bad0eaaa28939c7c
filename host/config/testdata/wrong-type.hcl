server {
  max_inflight  = "many"
  drain_timeout = 10
  idle_timeout  = "soon"
}
runpack {
  dirs = "/srv/runpacks"
}
evidence "http" {
  allow_http    = "true"
  user_agent    = []
  timeout       = { s = 1 }
  allow_private = ["10.0.0.0"]
}
plugin "store" "main" {
  command = "store-sqlite"
}

