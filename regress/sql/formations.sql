-- Formations and their groups stand beside each other.
\pset format unaligned
\pset tuples_only on
SELECT pgautofailover.create_formation('north', 'pgsql', 'my shop/ä&?', false, 0);
SELECT pgautofailover.create_formation('north', 'pgsql', 'my shop/ä&?', false, 0);
SELECT stage.try($$pgautofailover.create_formation('north', 'pgsql', 'postgres', false, 0)$$);
SELECT stage.try($$pgautofailover.create_formation('', 'pgsql', 'postgres', true, 0)$$);
SELECT stage.try($$pgautofailover.create_formation(' south', 'pgsql', 'postgres', true, 0)$$);
SELECT stage.try($$pgautofailover.create_formation(E'so\nuth', 'pgsql', 'postgres', true, 0)$$);
SELECT stage.try($$pgautofailover.create_formation(repeat('x', 64), 'pgsql', 'postgres', true, 0)$$);
SELECT stage.try($$pgautofailover.create_formation('south', 'citus', 'postgres', true, 0)$$);
SELECT stage.try($$pgautofailover.create_formation('south', 'pgsql', '', true, 0)$$);
SELECT stage.try($$pgautofailover.create_formation('south', 'pgsql', 'postgres', true, -1)$$);
SELECT stage.try($$pgautofailover.create_formation('south', 'pgsql', 'postgres', NULL, 0)$$);
SELECT stage.try($$pgautofailover.create_formation(NULL, 'pgsql', 'postgres', true, 0)$$);

-- Without secondaries each node opens a group; the same node stays in its own.
SELECT assigned_group_id, assigned_group_state FROM pgautofailover.register_node('north', '198.51.100.1', 6001, 'postgres', 'north_1');
SELECT assigned_group_id, assigned_group_state FROM pgautofailover.register_node('north', '198.51.100.2', 6001, 'postgres', 'north_2');
SELECT assigned_group_id, assigned_group_state FROM pgautofailover.register_node('north', '198.51.100.2', 6001, 'postgres', 'north_2');
SELECT assigned_group_id, assigned_group_state FROM pgautofailover.register_node('north', '198.51.100.3', 6001, 'postgres', 'north_3', desired_group_id => 7);
SELECT * FROM stage.settle('north');
SELECT stage.try($$pgautofailover.register_node('north', '198.51.100.4', 6001, 'postgres', 'north_4', desired_group_id => 1)$$);

-- A group that has lost its node is used again.
SELECT pgautofailover.remove_node('198.51.100.1', 6001, true);
SELECT assigned_group_id, assigned_group_state FROM pgautofailover.register_node('north', '198.51.100.5', 6001, 'postgres', 'north_5');

-- With secondaries a group grows, and then they cannot be forbidden.
SELECT pgautofailover.enable_secondary('north');
SELECT pgautofailover.enable_secondary('north');
SELECT * FROM stage.settle('north');
SELECT assigned_group_id, assigned_group_state FROM pgautofailover.register_node('north', '198.51.100.6', 6001, 'postgres', 'north_6', desired_group_id => 1);
SELECT assigned_group_id, assigned_group_state FROM pgautofailover.register_node('north', '198.51.100.7', 6001, 'postgres', 'north_7');
SELECT stage.try($$pgautofailover.disable_secondary('north')$$);
SELECT stage.try($$pgautofailover.disable_secondary('nowhere')$$);
SELECT stage.try($$pgautofailover.enable_secondary(NULL)$$);

-- A failover in one group is none in another group, and none in another formation.
SELECT stage.set('south', 2);
SELECT * FROM stage.settle('north');
CREATE TEMPORARY TABLE before AS SELECT coalesce(max(eventid), 0) AS eventid FROM pgautofailover.event;
SELECT pgautofailover.perform_failover('north', 1);
SELECT * FROM stage.settle('north');
SELECT * FROM stage.settle('south');
SELECT DISTINCT formationid, groupid FROM pgautofailover.event e, before WHERE e.eventid > before.eventid AND e.rule IS NOT NULL;
SELECT formationid, groupid, count(*) > 3 FROM pgautofailover.last_events('north', 1, 10) GROUP BY 1, 2;
SELECT primary_name FROM pgautofailover.get_primary('north', 0);
SELECT primary_name FROM pgautofailover.get_primary('north', 1);
SELECT primary_name FROM pgautofailover.get_primary('south', 0);
SELECT stage.names('north', 0);
SELECT stage.names('north', 1);
SELECT pgautofailover.formation_uri('north');
SELECT pgautofailover.formation_uri('south') LIKE 'postgres://192.0.2.1:%,192.0.2.2:%/postgres?target_session_attrs=read-write&sslmode=prefer';

-- A node of one formation may have the name of a node of another, and not its address.
SELECT assigned_group_state FROM pgautofailover.register_node('default', '198.51.100.8', 6001, 'postgres', 'north_1', desired_group_id => 3);
SELECT stage.try($$pgautofailover.register_node('default', '198.51.100.2', 6001, 'postgres', 'another')$$);
SELECT pgautofailover.remove_node('198.51.100.8', 6001, true);

-- The number of standbys to wait for is looked at in each group that has any.
SELECT stage.try($$pgautofailover.set_formation_number_sync_standbys('north', 1)$$);

-- Only an empty formation is dropped.
SELECT stage.try($$pgautofailover.drop_formation('south')$$);
SELECT pgautofailover.create_formation('brief', 'pgsql', 'postgres', true, 0);
SELECT pgautofailover.drop_formation('brief');
SELECT stage.try($$pgautofailover.drop_formation('brief')$$);
SELECT stage.try($$pgautofailover.drop_formation(NULL)$$);
SELECT description ~ 'Formation brief: (create|drop)_formation, asked for by' FROM pgautofailover.last_events('brief', count => 10)
 WHERE description LIKE 'Formation brief:%';
