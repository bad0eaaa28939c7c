server {
  max_inflight = env("CONFIG_TEST_SECRET")
  http { listen = env("CONFIG_TEST_SECRET") }
  idle_timeout = env("CONFIG_TEST_SECRET")
}
trust { min_lane = env("CONFIG_TEST_SECRET") }
plugin_dir = file(env("CONFIG_TEST_SECRET"))
runpack { dirs = [env(env("CONFIG_TEST_SECRET"))] }
evidence "http" {
  allow_private = [env("CONFIG_TEST_SECRET")]
  user_agent = {a = 1}[env("CONFIG_TEST_SECRET")]
}
