plugin "store" "main" { command = "store-sqlite" }

namespace {
  authority {
    url             = "http://assets.example.com"
    token           = "a\nb"
    connect_timeout = "99ms"
    request_timeout = "31s"
  }
}
