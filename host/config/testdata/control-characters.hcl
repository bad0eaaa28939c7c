plugin_dir = "a[31mb"
unknown "[31m" {}
