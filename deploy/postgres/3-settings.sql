-- Limits for the plugin's user, which is called decision_gate here. The plugin sets the same limits on each of its
-- connections, except behind a pooler in transaction mode: there these are the ones that count.
ALTER ROLE decision_gate SET statement_timeout = '30s';
ALTER ROLE decision_gate SET lock_timeout = '10s';
ALTER ROLE decision_gate SET idle_in_transaction_session_timeout = '30s';
-- The number of connections that all hosts together may hold: the sum of their max_connections, and one each for the feed.
ALTER ROLE decision_gate CONNECTION LIMIT 64;
-- A commit is answered when it is on the disk. With synchronous replicas, remote_apply also makes it visible there.
ALTER ROLE decision_gate SET synchronous_commit = 'on';
