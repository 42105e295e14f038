-- What is refused, with the SQLSTATE that callers rely on.
\set VERBOSITY sqlstate
\pset format unaligned

-- An unknown formation, a kind of node that there is not, a port that is none.
SELECT * FROM pgautofailover.register_node('nowhere', '192.0.2.9', 5009, 'postgres');
SELECT * FROM pgautofailover.register_node('default', '192.0.2.9', 5009, 'postgres', node_kind => 'citus');
SELECT * FROM pgautofailover.register_node('default', '192.0.2.9', 70000, 'postgres');
SELECT * FROM pgautofailover.register_node('default', '192.0.2.9', 5009, 'postgres', candidate_priority => 101);
SELECT * FROM pgautofailover.register_node('default', E'node-9 trust\nhost all all all', 5009, 'postgres');
SELECT * FROM pgautofailover.register_node('default', '.example', 5009, 'postgres');
SELECT * FROM pgautofailover.register_node('default', '192.0.2.9', 5009, 'postgres', E'nine\t');

-- Nobody is writable, nobody can take over, nobody is there.
SELECT * FROM pgautofailover.get_primary();
SELECT pgautofailover.perform_failover();
SELECT pgautofailover.perform_failover('nowhere', 0);
SELECT * FROM pgautofailover.node_active('default', 4711, 0);
SELECT pgautofailover.remove_node(4711);

-- A report that is none, and one of nobody.
SELECT pgautofailover.keeper_report('{}');
SELECT pgautofailover.keeper_report('{"version": 1, "node": 4711, "state": "single"}');

-- All nodes of a group are copies of one cluster.
SELECT * FROM pgautofailover.create_formation('copies', 'pgsql', 'postgres', true, 0) \gset
SELECT assigned_node_id AS a FROM pgautofailover.register_node('copies', '192.0.2.3', 5003, 'postgres', sysidentifier => 17) \gset
SELECT assigned_group_state FROM pgautofailover.node_active('copies', :a, 0, 'single');
SELECT * FROM pgautofailover.register_node('copies', '192.0.2.4', 5004, 'postgres', sysidentifier => 18);
SELECT * FROM pgautofailover.set_node_system_identifier(:a, 17) \gset
\echo :node_host :node_port
