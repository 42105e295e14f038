-- Taking nodes in, and letting them go.
\pset format unaligned
\pset tuples_only on
SELECT formationid FROM pgautofailover.create_formation('entry', 'pgsql', 'postgres', true, 0);
-- A node that is called nothing is called by its id. The first one says which database clients want.
SELECT assigned_node_name = 'node_' || assigned_node_id, assigned_group_id, assigned_group_state,
       assigned_candidate_priority, assigned_replication_quorum
  FROM pgautofailover.register_node('entry', '203.0.113.1', 7001, 'shop', initial_group_role => 'single');
SELECT dbname FROM pgautofailover.formation WHERE formationid = 'entry';
SELECT reported, assigned FROM stage.settle('entry');

-- Repeating it is no mistake; taking somebody's name or address is one.
SELECT count(DISTINCT assigned_node_id)
  FROM generate_series(1, 3), pgautofailover.register_node('entry', '203.0.113.1', 7001, 'shop');
SELECT assigned_group_state, assigned_candidate_priority, assigned_replication_quorum, assigned_node_name
  FROM pgautofailover.register_node('entry', '203.0.113.2', 7001, 'other', 'entry_2', candidate_priority => 30, replication_quorum => false, node_cluster => 'west');
SELECT dbname FROM pgautofailover.formation WHERE formationid = 'entry';
SELECT stage.try($$pgautofailover.register_node('entry', '203.0.113.3', 7001, 'postgres', 'entry_2')$$);
SELECT stage.try($$pgautofailover.register_node('entry', '203.0.113.2', 7001, 'postgres', desired_group_id => 5)$$);
SELECT stage.try($$pgautofailover.register_node('entry', '203.0.113.3', 7001, 'postgres', desired_node_id => stage.id('entry_2'))$$);
SELECT stage.try($$pgautofailover.register_node('entry', '203.0.113.3', 7001, 'postgres', initial_group_role => 'single')$$);

-- An id may be asked for; the ones given after it are larger.
SELECT assigned_node_id FROM pgautofailover.register_node('entry', '203.0.113.3', 7001, 'postgres', 'entry_3', desired_node_id => 900001);
SELECT assigned_node_id FROM pgautofailover.register_node('entry', '203.0.113.4', 7001, 'postgres', 'entry_4');
SELECT assigned_node_id FROM pgautofailover.register_node('entry', '203.0.113.5', 7001, 'postgres', 'entry_5', desired_node_id => 900000);
SELECT stage.try($$pgautofailover.register_node('entry', '203.0.113.6', 7001, 'postgres', desired_node_id => 9223372036854775807)$$);
SELECT node, assigned FROM stage.settle('entry') WHERE node LIKE 'entry%';

-- A node that is not needed any more leaves once the primary has a rule without it; by force it is not waited for.
SELECT pgautofailover.remove_node('203.0.113.3', 7001);
SELECT assigned_group_state FROM pgautofailover.current_state('entry') WHERE nodename = 'entry_3';
SELECT node, assigned FROM stage.settle('entry') WHERE node LIKE 'entry%';
SELECT pgautofailover.remove_node('203.0.113.3', 7001);
SELECT pgautofailover.remove_node(stage.id('entry_2'), true);
SELECT pgautofailover.remove_node('203.0.113.99');
SELECT stage.try($$pgautofailover.remove_node('203.0.113.1', 7001)$$);
SELECT stage.try($$pgautofailover.remove_node(NULL::bigint)$$);
SELECT stage.try($$pgautofailover.remove_node(NULL::text)$$);
SELECT stage.try($$pgautofailover.remove_node(1, NULL)$$);
-- An id is never given twice, not even one whose node is gone.
SELECT assigned_node_id FROM pgautofailover.register_node('entry', '203.0.113.3', 7001, 'postgres', 'entry_3');

-- All nodes of a group are copies of one cluster.
SELECT formationid FROM pgautofailover.create_formation('copies', 'pgsql', 'postgres', true, 0);
SELECT assigned_node_id AS a FROM pgautofailover.register_node('copies', '192.0.2.3', 5003, 'postgres', sysidentifier => 17) \gset
SELECT assigned_group_state FROM pgautofailover.node_active('copies', :a, 0, 'single');
SELECT stage.try($$pgautofailover.register_node('copies', '192.0.2.4', 5004, 'postgres', sysidentifier => 18)$$);
SELECT assigned_node_id AS b FROM pgautofailover.register_node('copies', '192.0.2.4', 5004, 'postgres') \gset
SELECT node_host, node_port FROM pgautofailover.set_node_system_identifier(:b, 17);
SELECT stage.try($$pgautofailover.set_node_system_identifier((SELECT nodeid FROM pgautofailover.node WHERE nodehost = '192.0.2.4'), 18)$$);
SELECT stage.try($$pgautofailover.set_node_system_identifier(4711, 18)$$);
SELECT stage.try($$pgautofailover.set_node_system_identifier(NULL, 18)$$);
