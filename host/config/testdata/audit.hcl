plugin "store" "main" { command = "store-sqlite" }

audit { path = "" }
