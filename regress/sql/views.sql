-- What can be asked about a formation.
\pset format unaligned
SELECT stage.set('seen', 3);
UPDATE pgautofailover.node_state SET nodeport = 5432 WHERE formationid = 'seen';
SELECT pgautofailover.set_node_candidate_priority('seen', 'seen_3', 50);
SELECT pgautofailover.update_node_metadata(stage.id('seen_3'), NULL, 'fe80::3%eth0', NULL);
SELECT nodename, nodehost, nodeport, group_id, current_group_state, assigned_group_state, candidate_priority,
       replication_quorum, reported_tli, reported_lsn, nodecluster, formation_kind FROM pgautofailover.current_state('seen');
SELECT count(*) FROM pgautofailover.current_state('seen', 1);
SELECT node_name, node_host, node_port, node_lsn, node_is_primary FROM pgautofailover.get_nodes('seen');
SELECT node_name, node_host, node_port, node_lsn, node_is_primary FROM pgautofailover.get_nodes('seen', 1);
SELECT node_name, node_is_primary FROM pgautofailover.get_other_nodes(stage.id('seen_1'));
SELECT node_name, node_is_primary FROM pgautofailover.get_other_nodes(stage.id('seen_2'), 'primary');
SELECT primary_name, primary_host, primary_port FROM pgautofailover.get_primary('seen');
SELECT context, group_id, nodename, setting,
       replace(replace(replace(value, stage.id('seen_2')::text, '2'), stage.id('seen_3')::text, '3'), 'pgautofailover_', '') AS value
  FROM pgautofailover.formation_settings('seen');

-- The standby that has most of the WAL. Among equals priority decides.
SELECT node_name, node_lsn, node_is_primary FROM pgautofailover.get_most_advanced_standby('seen');
SELECT assigned_group_state FROM pgautofailover.node_active('seen', stage.id('seen_3'), 0, 'secondary', true, 1, '0/9000000');
SELECT node_name, node_lsn, node_is_primary FROM pgautofailover.get_most_advanced_standby('seen');
SELECT node_name FROM pgautofailover.get_most_advanced_standby('nowhere');

-- Connection strings. What has a meaning in a URI is encoded.
SELECT pgautofailover.formation_uri('seen');
SELECT pgautofailover.formation_uri('seen', sslmode => 'verify-full', sslrootcert => '/etc/my ca.crt', sslcrl => '/etc/a&b=c.crl');
SELECT pgautofailover.formation_uri('seen', 'other');
SELECT pgautofailover.formation_uri('nowhere');
SELECT stage.try($$pgautofailover.formation_uri('seen', sslmode => 'sure')$$);
SELECT stage.try($$pgautofailover.formation_uri('seen', sslmode => NULL)$$);

-- A node changes its name and its address; the others hear of it.
SELECT pgautofailover.update_node_metadata(stage.id('seen_2'), 'second', '192.0.2.22', 5433);
SELECT pgautofailover.update_node_metadata(stage.id('second'), 'second', NULL, NULL);
SELECT nodename, nodehost, nodeport FROM pgautofailover.current_state('seen');
SELECT stage.try($$pgautofailover.update_node_metadata(stage.id('second'), 'seen_1', NULL, NULL)$$);
SELECT stage.try($$pgautofailover.update_node_metadata(stage.id('second'), NULL, '192.0.2.1', 5432)$$);
SELECT stage.try($$pgautofailover.update_node_metadata(stage.id('second'), '', NULL, NULL)$$);
SELECT stage.try($$pgautofailover.update_node_metadata(stage.id('second'), NULL, 'a b', NULL)$$);
SELECT stage.try($$pgautofailover.update_node_metadata(stage.id('second'), NULL, NULL, 0)$$);
SELECT stage.try($$pgautofailover.update_node_metadata(4711, 'x', NULL, NULL)$$);
SELECT stage.try($$pgautofailover.update_node_metadata(NULL, 'x', NULL, NULL)$$);
