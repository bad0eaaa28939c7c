plugin "store" "main" {
  command = "store-sqlite"
}

plugin "telemetry" "otel" {
  command = "auth-oidc"
}
plugin "runpak" "fs" {
  command = "runpack-fs"
}
