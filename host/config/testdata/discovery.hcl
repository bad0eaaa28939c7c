discovery {
  allow              = []
  deny               = ["env", " "]
  max_response_bytes = 0
}
docs {
  extra_paths  = ["guides", ""]
  max_sections = 11
}
plugin "store" "main" {
  command = "store-sqlite"
}
