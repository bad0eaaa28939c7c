server {
  http { listen = "${env("CONFIG_TEST_SECRET")}:80" }
}
trust { min_lane = env("CONFIG_TEST_SECRET") }
evidence "json" {
  root    = "x"
  root_id = "A ${env("CONFIG_TEST_SECRET")}"
}
plugin "store" "main" {
  command = "x"
  sha256  = env("CONFIG_TEST_SECRET")
  env     = [env("CONFIG_TEST_SECRET")]
}
