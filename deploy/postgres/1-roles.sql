-- The roles of Decision Gate Host. Run once in a cluster, in any of its databases, as a superuser; running it again
-- changes nothing. None of these roles can log in: you make users of your own and put each into one of them.
--
--   decision_gate_owner   owns the schema. For whoever runs "store-postgres migrate up", at no other time.
--   decision_gate_app     reads and writes records, one tenant at a time. For the plugin.
--   decision_gate_feed    sees keys of all tenants and no body. Nobody is a member: it owns the change feed's function.
--   decision_gate_reader  reads everything, writes nothing. For people with SQL.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['decision_gate_owner', 'decision_gate_app', 'decision_gate_feed', 'decision_gate_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', wanted);
    END IF;
  END LOOP;
END
$$;

-- The owner hands the feed's function to its role, and must not inherit what that role sees.
ALTER ROLE decision_gate_owner NOINHERIT;
GRANT decision_gate_feed TO decision_gate_owner;
