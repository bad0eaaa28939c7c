plugin "store" "main" {
  command = "store-sqlite"
}

plugin "auth" "oidc" {
  command = "auth-oidc"
}
plugin "runpak" "fs" {
  command = "runpack-fs"
}
