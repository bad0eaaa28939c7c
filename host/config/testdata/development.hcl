server {
  http { listen = "127.0.0.1:8080" }
}
plugin "store" "main" { command = "store-sqlite" }

development {
  accept_asserted  = true
  until            = "tomorrow"
  exempt_providers = [" "]
}
namespace {
  authority { url = "https://assets.example.com" }
}
