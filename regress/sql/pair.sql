-- A pair is born, fails over and shrinks again, told by node_active alone as a tool would.
\set ON_ERROR_STOP on
\pset format unaligned
SELECT * FROM pgautofailover.create_formation('pair', 'pgsql', 'postgres', true, 0);
SELECT assigned_node_id AS a, assigned_group_state FROM pgautofailover.register_node('pair', '192.0.2.1', 5001, 'postgres', 'a') \gset
\echo :assigned_group_state
CREATE FUNCTION pg_temp.says(node bigint, state pgautofailover.replication_state, lsn pg_lsn DEFAULT '0/1000000', tli int DEFAULT 1)
RETURNS pgautofailover.replication_state LANGUAGE sql AS $$
    SELECT assigned_group_state FROM pgautofailover.node_active('pair', node, 0, state, true, tli, lsn)
$$;
SELECT pg_temp.says(:a, 'single');

-- While the only node has not said that it is single, or after it has, a second one is taken in.
SELECT assigned_node_id AS b, assigned_group_state FROM pgautofailover.register_node('pair', '192.0.2.2', 5002, 'postgres', 'b') \gset
\echo :assigned_group_state
-- Repeating it changes nothing.
SELECT assigned_node_id = :b AS same, assigned_node_name FROM pgautofailover.register_node('pair', '192.0.2.2', 5002, 'postgres', 'b');
SELECT pg_temp.says(:b, 'wait_standby');
SELECT pg_temp.says(:a, 'single');
SELECT pg_temp.says(:a, 'wait_primary');
SELECT pg_temp.says(:b, 'wait_standby');
SELECT pg_temp.says(:b, 'catchingup');
SELECT pg_temp.says(:a, 'wait_primary');
SELECT pg_temp.says(:a, 'primary');
SELECT pg_temp.says(:b, 'catchingup');
SELECT pg_temp.says(:b, 'secondary');
SELECT pg_temp.says(:a, 'primary');
SELECT nodename, current_group_state, assigned_group_state FROM pgautofailover.current_state('pair');
SELECT primary_name, primary_host, primary_port FROM pgautofailover.get_primary('pair');
SELECT regexp_replace(pgautofailover.synchronous_standby_names('pair'), '\d+\)', 'b)') AS synchronous_standby_names;
SELECT pgautofailover.formation_uri('pair');

-- A failover that was asked for: the primary drains, the standby pledges, promotes, and is recorded.
SELECT pgautofailover.perform_failover('pair', 0);
SELECT pg_temp.says(:a, 'primary');
SELECT pg_temp.says(:a, 'draining', '0/2000000');
SELECT pg_temp.says(:b, 'secondary', '0/2000000');
SELECT pg_temp.says(:a, 'demoted', '0/2000000');
SELECT pg_temp.says(:b, 'report_lsn', '0/2000000');
SELECT pg_temp.says(:b, 'prepare_promotion', '0/2000000', 2);
SELECT pg_temp.says(:b, 'wait_primary', '0/2000100', 2);
SELECT primary_name FROM pgautofailover.get_primary('pair');
SELECT nodename, current_group_state, assigned_group_state FROM pgautofailover.current_state('pair');

-- The old primary follows, and the rule covers it again.
SELECT pg_temp.says(:a, 'catchingup', '0/2000100', 2);
SELECT pg_temp.says(:b, 'wait_primary', '0/2000100', 2);
SELECT pg_temp.says(:b, 'primary', '0/2000100', 2);
SELECT pg_temp.says(:a, 'catchingup', '0/2000100', 2);
SELECT pg_temp.says(:a, 'secondary', '0/2000100', 2);
SELECT nodename, current_group_state, assigned_group_state FROM pgautofailover.current_state('pair');

-- Removing a node: the primary first has a rule without it; a node that is gone already is no error.
SELECT pgautofailover.remove_node(:a);
SELECT pg_temp.says(:b, 'primary', '0/2000200', 2);
SELECT pg_temp.says(:b, 'wait_primary', '0/2000200', 2);
SELECT pg_temp.says(:a, 'secondary', '0/2000200', 2);
SELECT pg_temp.says(:a, 'dropped', '0/2000200', 2);
SELECT pg_temp.says(:b, 'wait_primary', '0/2000200', 2);
SELECT pg_temp.says(:b, 'single', '0/2000200', 2);
SELECT pgautofailover.remove_node(:a);
SELECT pgautofailover.remove_node('192.0.2.1', 5001);
SELECT nodename, current_group_state, assigned_group_state FROM pgautofailover.current_state('pair');

-- A node that has left goes by its last name.
SELECT term, cause, old_primary, new_primary FROM pgautofailover.timing('pair');
