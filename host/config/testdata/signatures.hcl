plugin_signatures {
  key "acme" {
    public_key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
  }
  key "again" {
    public_key = "untrusted comment: minisign public key\nRWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n"
  }
  key "short" {
    public_key = "RWQf6LRCGA9i53ml"
  }
}
plugin "store" "main" {
  command   = "store-sqlite"
  signed_by = ["acne"]
}
