plugin "store" "main" { command = "store-sqlite" }
validation { profile = "strict_core_v2" }
