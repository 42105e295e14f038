-- What is refused, with the SQLSTATE that callers rely on, the cause, and what to do next.
\pset format unaligned
\pset tuples_only on
SELECT formationid FROM pgautofailover.create_formation('closed', 'pgsql', 'postgres', true, 0);

-- An unknown formation, a kind of node that there is not, a port that is none, and what has a meaning in pg_hba.conf.
SELECT stage.try($$pgautofailover.register_node('nowhere', '192.0.2.9', 5009, 'postgres')$$);
SELECT stage.try($$pgautofailover.register_node('closed', '192.0.2.9', 5009, 'postgres', node_kind => 'citus')$$);
SELECT stage.try($$pgautofailover.register_node('closed', '192.0.2.9', 70000, 'postgres')$$);
SELECT stage.try($$pgautofailover.register_node('closed', '192.0.2.9', 0, 'postgres')$$);
SELECT stage.try($$pgautofailover.register_node('closed', '192.0.2.9', 5009, 'postgres', candidate_priority => 101)$$);
SELECT stage.try($$pgautofailover.register_node('closed', E'node-9 trust\nhost all all all', 5009, 'postgres')$$);
SELECT stage.try($$pgautofailover.register_node('closed', '.example', 5009, 'postgres')$$);
SELECT stage.try($$pgautofailover.register_node('closed', repeat('h', 300), 5009, 'postgres')$$);
SELECT stage.try($$pgautofailover.register_node('closed', '192.0.2.9', 5009, 'postgres', E'nine\t')$$);
SELECT stage.try($$pgautofailover.register_node('closed', '192.0.2.9', 5009, 'postgres', repeat('n', 64))$$);
SELECT stage.try($$pgautofailover.register_node('closed', '192.0.2.9', 5009, 'postgres', node_cluster => E'\x1b[2J')$$);
SELECT stage.try($$pgautofailover.register_node(NULL, '192.0.2.9', 5009, 'postgres')$$);
SELECT stage.try($$pgautofailover.register_node('closed', NULL, 5009, 'postgres')$$);
SELECT stage.try($$pgautofailover.register_node('closed', '192.0.2.9', NULL, 'postgres')$$);

-- The group cannot take a node before its first one has said that it is there.
SELECT assigned_group_state FROM pgautofailover.register_node('closed', '192.0.2.8', 5008, 'postgres', 'closed_1');
SELECT stage.try($$pgautofailover.register_node('closed', '192.0.2.9', 5009, 'postgres', 'closed_2')$$);

-- Nobody is writable, nobody can take over, nobody is there.
SELECT stage.try($$pgautofailover.get_primary('closed')$$);
SELECT stage.try($$pgautofailover.get_primary('nowhere')$$);
SELECT stage.try($$pgautofailover.perform_failover('closed', 0)$$);
SELECT * FROM stage.settle('closed');
SELECT stage.try($$pgautofailover.perform_failover('closed', 0)$$);
SELECT stage.try($$pgautofailover.perform_failover('closed', 1)$$);
SELECT stage.try($$pgautofailover.perform_failover('nowhere', 0)$$);
SELECT stage.try($$pgautofailover.perform_failover(NULL, 0)$$);
SELECT stage.try($$pgautofailover.perform_failover('closed', NULL)$$);
SELECT stage.try($$pgautofailover.node_active('closed', 4711, 0)$$);

-- A report that is none, and one of nobody.
SELECT stage.try($$pgautofailover.keeper_report('{}')$$);
SELECT stage.try($$pgautofailover.keeper_report(NULL)$$);
SELECT stage.try($$pgautofailover.keeper_report('{"version": 1, "node": 4711, "state": "single"}')$$);
SELECT stage.try($$pgautofailover.keeper_report('{"version": 99, "node": 4711, "state": "single"}')$$);
SELECT stage.try($$pgautofailover.keeper_report('{"version": 1, "node": 4711, "state": "single", "term": 18446744073709551615}')$$);
SELECT stage.try($$pgautofailover.keeper_report(repeat('[', 100000))$$);

-- Decisions are made in READ COMMITTED transactions, and not prepared.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT stage.try($$pgautofailover.perform_failover('closed', 0)$$);
ROLLBACK;
