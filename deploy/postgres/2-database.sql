-- Makes a database ready for "store-postgres migrate up". Run in that database, as a superuser or as its owner, after
-- 1-roles.sql; running it again changes nothing. The schema is all that Decision Gate Host uses.
CREATE SCHEMA IF NOT EXISTS decision_gate AUTHORIZATION decision_gate_owner;
REVOKE ALL ON SCHEMA decision_gate FROM PUBLIC;
