-- Maintenance of a standby: it leaves the rule before its server may be taken down.
\pset format unaligned
\pset tuples_only on
SELECT stage.set('upkeep', 1);
SELECT assigned_node_id AS b FROM pgautofailover.register_node('upkeep', '192.0.2.2', 5012, 'postgres', 'upkeep_2') \gset

-- Not yet: the primary has not reached its state.
SELECT stage.try('pgautofailover.start_maintenance(stage.id(''upkeep_2''))');
SELECT * FROM stage.settle('upkeep');

-- The primary is refused, with the reason; whoever is unknown is no error.
SELECT stage.try('pgautofailover.start_maintenance(stage.id(''upkeep_1''))');
SELECT pgautofailover.start_maintenance(4711);
SELECT pgautofailover.start_maintenance('nobody');
SELECT pgautofailover.start_maintenance('upkeep_2', 5011);
SELECT pgautofailover.stop_maintenance(4711);
SELECT pgautofailover.stop_maintenance('nobody');

-- By name and port, by host and port, by id. Repeating it changes nothing.
SELECT pgautofailover.start_maintenance('upkeep_2', 5012);
SELECT pgautofailover.start_maintenance('192.0.2.2', 5012);
SELECT pgautofailover.start_maintenance(:b);
SELECT * FROM stage.nodes('upkeep');

-- It waits for the primary; then its server may be stopped.
SELECT stage.obey(:b);
SELECT * FROM stage.nodes('upkeep');
SELECT * FROM stage.settle('upkeep');
SELECT pgautofailover.synchronous_standby_names('upkeep');

-- There is nobody to fail over to now.
SELECT stage.try('pgautofailover.perform_failover(''upkeep'')');

-- Back again. Repeating that changes nothing either.
SELECT pgautofailover.stop_maintenance('192.0.2.2', 5012);
SELECT pgautofailover.stop_maintenance('upkeep_2', 5012);
SELECT * FROM stage.nodes('upkeep');
SELECT * FROM stage.settle('upkeep');

-- Whoever only waits for it may go back at once.
SELECT pgautofailover.start_maintenance(:b);
SELECT pgautofailover.stop_maintenance(:b);
SELECT * FROM stage.settle('upkeep');
