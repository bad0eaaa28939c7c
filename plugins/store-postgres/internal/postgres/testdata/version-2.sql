GRANT USAGE ON SCHEMA decision_gate TO decision_gate_app, decision_gate_feed, decision_gate_reader;
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE decision_gate.api_keys (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.api_keys ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.api_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.api_keys OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.audit_heads (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.audit_heads ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.audit_heads FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.audit_heads OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.clock (
    one boolean DEFAULT true NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT clock_one_check CHECK (one)
)
WITH (fillfactor='10');
ALTER TABLE decision_gate.clock OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.commits (
    id uuid NOT NULL,
    digest uuid NOT NULL,
    revision bigint NOT NULL,
    at integer NOT NULL
);
ALTER TABLE decision_gate.commits OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.run_steps (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.run_steps ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.run_steps FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.run_steps OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.runs (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.runs ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.runs FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.runs OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.scenarios (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.scenarios ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.scenarios FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.scenarios OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.members (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.members ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.members FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.members OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.namespaces (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.namespaces ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.namespaces FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.namespaces OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.other_records (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea,
    collection text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE ONLY decision_gate.other_records ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.other_records FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.other_records OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.quotas (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.quotas ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.quotas FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.quotas OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.run_packets (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.run_packets ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.run_packets FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.run_packets OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.run_submissions (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.run_submissions ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.run_submissions FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.run_submissions OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.run_triggers (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.run_triggers ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.run_triggers FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.run_triggers OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.schema_counts (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.schema_counts ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.schema_counts FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.schema_counts OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.schema_version (
    version integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE decision_gate.schema_version OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.schemas (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.schemas ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.schemas FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.schemas OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.tenants (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.tenants ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.tenants FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.tenants OWNER TO decision_gate_owner;
CREATE TABLE decision_gate.usage (
    tenant bigint NOT NULL,
    namespace bigint NOT NULL,
    revision bigint NOT NULL,
    k bytea NOT NULL,
    sha256 bytea,
    body bytea
);
ALTER TABLE ONLY decision_gate.usage ALTER COLUMN body SET COMPRESSION lz4;
ALTER TABLE ONLY decision_gate.usage FORCE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.usage OWNER TO decision_gate_owner;
INSERT INTO decision_gate.clock VALUES (true, 4);
INSERT INTO decision_gate.commits VALUES ('01000000-0000-0000-0000-000000000000', '51aaea7a-ef0e-b686-9f45-f263ce93e063', 1, 1796083871);
INSERT INTO decision_gate.commits VALUES ('02000000-0000-0000-0000-000000000000', 'f90b950c-7255-3de6-b914-1ec524f3f930', 2, 1796083871);
INSERT INTO decision_gate.commits VALUES ('03000000-0000-0000-0000-000000000000', '8cedc004-7f30-e072-8e3d-c5577dc164cd', 3, 1796083871);
INSERT INTO decision_gate.commits VALUES ('04000000-0000-0000-0000-000000000000', 'e7f4ac3c-09f9-33b4-16e4-92aab5d2e0b5', 4, 1796083871);
INSERT INTO decision_gate.other_records VALUES (-1, 9, 2, '\x0000000000000000000000000000000000016c6f6e672078787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787878787809787878787800000005', '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '\x', 'strange');
INSERT INTO decision_gate.quotas VALUES (-9223372036854775808, 9, 1, '\x6e0000000000000001', '\x03debf7a90bc196c6ad4b259eab3544acd9d72d6e65a6923afabb69dc218deac', '\x4000000000000005');
INSERT INTO decision_gate.run_steps VALUES (1, 9, 1, '\x72756e000000000003000000000000000108', '\x1316af5b20e0e2be481c23a462d354608648a00114597e134f2f7455557c1295', '\x00ff206e6f74204a534f4e');
INSERT INTO decision_gate.runs VALUES (1, 9, 4, '\x72756e000000000003', '\x5fc8d426acf83cd34bbc616e003fbdd628175b5c405d81c8c526e593756389e2', '\x7b2268656164223a7b2272756e5f6964223a2272756e222c22737461747573223a22646f6e65227d2c227374657073223a327d');
INSERT INTO decision_gate.scenarios VALUES (0, 9, 2, '\x730000000000000001', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '\x7b7d');
INSERT INTO decision_gate.schema_version VALUES (1, '2026-12-01 00:11:09.764185+00');
INSERT INTO decision_gate.schema_version VALUES (2, '2026-12-01 00:11:09.764185+00');
INSERT INTO decision_gate.schemas VALUES (7, 9, 4, '\x73686f72742d6c6909766564000000000003', NULL, NULL);
ALTER TABLE ONLY decision_gate.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.audit_heads
    ADD CONSTRAINT audit_heads_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.clock
    ADD CONSTRAINT clock_pkey PRIMARY KEY (one);
ALTER TABLE ONLY decision_gate.commits
    ADD CONSTRAINT commits_pkey PRIMARY KEY (id);
ALTER TABLE ONLY decision_gate.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.namespaces
    ADD CONSTRAINT namespaces_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.other_records
    ADD CONSTRAINT other_records_pkey PRIMARY KEY (collection, tenant, namespace, k);
ALTER TABLE ONLY decision_gate.quotas
    ADD CONSTRAINT quotas_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.run_packets
    ADD CONSTRAINT run_packets_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.run_steps
    ADD CONSTRAINT run_steps_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.run_submissions
    ADD CONSTRAINT run_submissions_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.run_triggers
    ADD CONSTRAINT run_triggers_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.scenarios
    ADD CONSTRAINT scenarios_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.schema_counts
    ADD CONSTRAINT schema_counts_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);
ALTER TABLE ONLY decision_gate.schemas
    ADD CONSTRAINT schemas_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (tenant, namespace, k);
ALTER TABLE ONLY decision_gate.usage
    ADD CONSTRAINT usage_pkey PRIMARY KEY (tenant, namespace, k);
CREATE INDEX api_keys_revision ON decision_gate.api_keys USING btree (revision);
CREATE INDEX audit_heads_revision ON decision_gate.audit_heads USING btree (revision);
CREATE INDEX commits_at ON decision_gate.commits USING brin (at) WITH (pages_per_range='16', autosummarize='on');
CREATE INDEX members_revision ON decision_gate.members USING btree (revision);
CREATE INDEX namespaces_revision ON decision_gate.namespaces USING btree (revision);
CREATE INDEX other_records_revision ON decision_gate.other_records USING btree (revision);
CREATE INDEX quotas_revision ON decision_gate.quotas USING btree (revision);
CREATE INDEX run_packets_revision ON decision_gate.run_packets USING btree (revision);
CREATE INDEX run_steps_revision ON decision_gate.run_steps USING btree (revision);
CREATE INDEX run_submissions_revision ON decision_gate.run_submissions USING btree (revision);
CREATE INDEX run_triggers_revision ON decision_gate.run_triggers USING btree (revision);
CREATE INDEX runs_revision ON decision_gate.runs USING btree (revision);
CREATE INDEX scenarios_revision ON decision_gate.scenarios USING btree (revision);
CREATE INDEX schema_counts_revision ON decision_gate.schema_counts USING btree (revision);
CREATE INDEX schemas_revision ON decision_gate.schemas USING btree (revision);
CREATE INDEX tenants_revision ON decision_gate.tenants USING btree (revision);
CREATE INDEX usage_revision ON decision_gate.usage USING btree (revision);
CREATE POLICY all_keys ON decision_gate.api_keys FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.audit_heads FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.members FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.namespaces FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.other_records FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.quotas FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.run_packets FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.run_steps FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.run_submissions FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.run_triggers FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.runs FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.scenarios FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.schema_counts FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.schemas FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.tenants FOR SELECT TO decision_gate_feed USING (true);
CREATE POLICY all_keys ON decision_gate.usage FOR SELECT TO decision_gate_feed USING (true);
ALTER TABLE decision_gate.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.members ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.namespaces ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON decision_gate.api_keys TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.audit_heads TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.members TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.namespaces TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.other_records TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.quotas TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.run_packets TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.run_steps TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.run_submissions TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.run_triggers TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.runs TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.scenarios TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.schema_counts TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.schemas TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.tenants TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
CREATE POLICY one_tenant ON decision_gate.usage TO decision_gate_app USING ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint)) WITH CHECK ((tenant = (NULLIF(current_setting('decision_gate.tenant'::text, true), ''::text))::bigint));
ALTER TABLE decision_gate.other_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.quotas ENABLE ROW LEVEL SECURITY;
CREATE POLICY reading ON decision_gate.api_keys FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.audit_heads FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.members FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.namespaces FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.other_records FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.quotas FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.run_packets FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.run_steps FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.run_submissions FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.run_triggers FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.runs FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.scenarios FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.schema_counts FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.schemas FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.tenants FOR SELECT TO decision_gate_reader USING (true);
CREATE POLICY reading ON decision_gate.usage FOR SELECT TO decision_gate_reader USING (true);
ALTER TABLE decision_gate.run_packets ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.run_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.run_submissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.run_triggers ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.scenarios ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.schema_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.schemas ENABLE ROW LEVEL SECURITY;
CREATE POLICY shared ON decision_gate.scenarios FOR SELECT TO decision_gate_app USING ((tenant = 0));
ALTER TABLE decision_gate.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision_gate.usage ENABLE ROW LEVEL SECURITY;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.api_keys TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.api_keys TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.api_keys TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.api_keys TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.api_keys TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.api_keys TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.api_keys TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.audit_heads TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.audit_heads TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.audit_heads TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.audit_heads TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.audit_heads TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.audit_heads TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.audit_heads TO decision_gate_feed;
GRANT SELECT ON TABLE decision_gate.clock TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.clock TO decision_gate_feed;
GRANT SELECT ON TABLE decision_gate.clock TO decision_gate_reader;
GRANT UPDATE(revision) ON TABLE decision_gate.clock TO decision_gate_app;
GRANT SELECT,INSERT,DELETE ON TABLE decision_gate.commits TO decision_gate_app;
GRANT UPDATE(at) ON TABLE decision_gate.commits TO decision_gate_app;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.run_steps TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.run_steps TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.run_steps TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.run_steps TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.run_steps TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.run_steps TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.run_steps TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.runs TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.runs TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.runs TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.runs TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.runs TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.runs TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.runs TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.scenarios TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.scenarios TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.scenarios TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.scenarios TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.scenarios TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.scenarios TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.scenarios TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.members TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.members TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.members TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.members TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.members TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.members TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.members TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.namespaces TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.namespaces TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.namespaces TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.namespaces TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.namespaces TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.namespaces TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.namespaces TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.other_records TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.other_records TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.other_records TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.other_records TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.other_records TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.other_records TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.other_records TO decision_gate_feed;
GRANT SELECT(collection) ON TABLE decision_gate.other_records TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.quotas TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.quotas TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.quotas TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.quotas TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.quotas TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.quotas TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.quotas TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.run_packets TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.run_packets TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.run_packets TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.run_packets TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.run_packets TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.run_packets TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.run_packets TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.run_submissions TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.run_submissions TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.run_submissions TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.run_submissions TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.run_submissions TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.run_submissions TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.run_submissions TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.run_triggers TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.run_triggers TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.run_triggers TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.run_triggers TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.run_triggers TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.run_triggers TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.run_triggers TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.schema_counts TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.schema_counts TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.schema_counts TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.schema_counts TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.schema_counts TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.schema_counts TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.schema_counts TO decision_gate_feed;
GRANT SELECT ON TABLE decision_gate.schema_version TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.schema_version TO decision_gate_reader;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.schemas TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.schemas TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.schemas TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.schemas TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.schemas TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.schemas TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.schemas TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.tenants TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.tenants TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.tenants TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.tenants TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.tenants TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.tenants TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.tenants TO decision_gate_feed;
GRANT SELECT,INSERT,UPDATE ON TABLE decision_gate.usage TO decision_gate_app;
GRANT SELECT ON TABLE decision_gate.usage TO decision_gate_reader;
GRANT SELECT(tenant) ON TABLE decision_gate.usage TO decision_gate_feed;
GRANT SELECT(namespace) ON TABLE decision_gate.usage TO decision_gate_feed;
GRANT SELECT(revision) ON TABLE decision_gate.usage TO decision_gate_feed;
GRANT SELECT(k) ON TABLE decision_gate.usage TO decision_gate_feed;
GRANT SELECT(sha256) ON TABLE decision_gate.usage TO decision_gate_feed;
