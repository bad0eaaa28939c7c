plugin "store" "main" { command = "store-sqlite" }

namespace {
  authority { url = "https://assets.example.com?tenant=1" }
}
