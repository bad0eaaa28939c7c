plugin "store" "main" { command = "store-sqlite" }
validation {
  strict        = false
  deep_equals   = true
}
