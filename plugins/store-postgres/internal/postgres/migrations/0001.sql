-- Version 1: a table for every collection that the host knows, and one for all others.
--
-- tenant and namespace are unsigned 64-bit numbers kept as the signed ones of the same bits. k is the path in an encoding
-- whose byte order is the order of keys; decision_gate.segments() takes it apart. A record's version is its revision.
-- A removed record leaves its row without sha256 and body, so that no version comes back and the feed can tell of it.

-- The row is locked by every transaction that writes, first of all: revisions become visible in order, and no two batches
-- can wait for each other.
CREATE TABLE decision_gate.clock (
  one      boolean PRIMARY KEY DEFAULT true CHECK (one),
  revision bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO decision_gate.clock (revision) VALUES (0);
GRANT SELECT, UPDATE (revision) ON decision_gate.clock TO decision_gate_app;
GRANT SELECT ON decision_gate.clock TO decision_gate_feed, decision_gate_reader;

-- The ids of commits, so that a repeat is answered and not done again. digest is the first half of a SHA-256 over the ops;
-- at is in seconds since 1970, by the server's clock. Rows come and go in the order of time, as BRIN wants it.
CREATE TABLE decision_gate.commits (
  id       uuid    PRIMARY KEY,
  digest   uuid    NOT NULL,
  revision bigint  NOT NULL,
  at       integer NOT NULL
);
CREATE INDEX commits_at ON decision_gate.commits USING brin (at) WITH (pages_per_range = 16, autosummarize = on);
GRANT SELECT, INSERT, DELETE ON decision_gate.commits TO decision_gate_app;
-- DELETE ... FOR UPDATE SKIP LOCKED asks for the privilege on one column at least.
GRANT UPDATE (at) ON decision_gate.commits TO decision_gate_app;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['runs', 'run_steps', 'run_triggers', 'run_submissions', 'run_packets', 'scenarios', 'schemas', 'schema_counts',
    'tenants', 'namespaces', 'members', 'api_keys', 'quotas', 'usage', 'audit_heads', 'other_records'] LOOP
    EXECUTE format('CREATE TABLE decision_gate.%I (
      tenant    bigint NOT NULL,
      namespace bigint NOT NULL,
      revision  bigint NOT NULL,
      k         bytea  NOT NULL,
      sha256    bytea,
      body      bytea,
      CHECK ((sha256 IS NULL) = (body IS NULL))
    )', name);
    IF name = 'other_records' THEN
      ALTER TABLE decision_gate.other_records ADD COLUMN collection text COLLATE "C" NOT NULL;
      ALTER TABLE decision_gate.other_records ADD PRIMARY KEY (collection, tenant, namespace, k);
    ELSE
      EXECUTE format('ALTER TABLE decision_gate.%I ADD PRIMARY KEY (tenant, namespace, k)', name);
    END IF;
    EXECUTE format('CREATE INDEX %I ON decision_gate.%I (revision)', name || '_revision', name);

    -- Whatever query the plugin sends, by mistake or because somebody talked it into it, meets one tenant: the one it
    -- has named. Without one it meets nothing.
    EXECUTE format('ALTER TABLE decision_gate.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($p$CREATE POLICY one_tenant ON decision_gate.%I TO decision_gate_app
      USING (tenant = NULLIF(current_setting('decision_gate.tenant', true), '')::bigint)
      WITH CHECK (tenant = NULLIF(current_setting('decision_gate.tenant', true), '')::bigint)$p$, name);
    IF name = 'scenarios' THEN
      -- What is no tenant's own is there for all to read.
      CREATE POLICY shared ON decision_gate.scenarios FOR SELECT TO decision_gate_app USING (tenant = 0);
    END IF;
    EXECUTE format('CREATE POLICY all_keys ON decision_gate.%I FOR SELECT TO decision_gate_feed USING (true)', name);
    EXECUTE format('CREATE POLICY reading ON decision_gate.%I FOR SELECT TO decision_gate_reader USING (true)', name);
    -- No DELETE: removed records leave their rows.
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON decision_gate.%I TO decision_gate_app', name);
    EXECUTE format('GRANT SELECT (tenant, namespace, revision, k, sha256) ON decision_gate.%I TO decision_gate_feed', name);
    EXECUTE format('GRANT SELECT ON decision_gate.%I TO decision_gate_reader', name);
  END LOOP;
  GRANT SELECT (collection) ON decision_gate.other_records TO decision_gate_feed;
END
$$;
GRANT USAGE ON SCHEMA decision_gate TO decision_gate_app, decision_gate_feed, decision_gate_reader;
