plugin "store" "main" { command = "store-sqlite" }

server {
  stdio {}
}
auth {
  bearer {
    tokens = ["", " padded", "pässword", "twice", "twice", env("CONFIG_TEST_SECRET")]
  }
  mtls {
    subjects = []
    client_subject_header {}
  }
  allowed_tool = ["precheck"]
  principal "loopback" {
    policy_class = "production"
    role "TenantAdmin" { tenant = 0 }
    role "TenantAdmin" { namespace = -1 }
    role " " {}
  }
  principal "loopback" {}
}
