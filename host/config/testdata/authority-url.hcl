plugin "store" "main" { command = "store-sqlite" }

namespace {
  authority {
    url   = "https://user:pass@assets.example.com"
    token = ""
  }
}
