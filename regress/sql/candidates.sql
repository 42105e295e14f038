-- Who may be promoted, whose copies commits wait for, and how many.
\pset format unaligned
\pset tuples_only on
SELECT stage.set('votes', 3);
SELECT * FROM stage.nodes('votes');
SELECT stage.names('votes');

-- Priorities are 0 to 100. What a node has already is no error.
SELECT pgautofailover.set_node_candidate_priority('votes', 'votes_3', 0);
SELECT pgautofailover.set_node_candidate_priority('votes', 'votes_3', 0);
SELECT candidate_priority FROM pgautofailover.current_state('votes');
SELECT stage.try($$pgautofailover.set_node_candidate_priority('votes', 'votes_3', 101)$$);
SELECT stage.try($$pgautofailover.set_node_candidate_priority('votes', 'votes_3', -1)$$);
SELECT stage.try($$pgautofailover.set_node_candidate_priority('votes', 'votes_4', 1)$$);
SELECT stage.try($$pgautofailover.set_node_candidate_priority('nowhere', 'votes_3', 1)$$);
SELECT stage.try($$pgautofailover.set_node_candidate_priority('votes', 'votes_3', NULL)$$);

-- A node of priority 0 is never promoted, as far ahead as it may be.
SELECT pgautofailover.perform_failover('votes');
SELECT * FROM stage.settle('votes');

-- Without a vote a node leaves the rule; with one it comes back.
SELECT pgautofailover.set_node_replication_quorum('votes', 'votes_3', false);
SELECT pgautofailover.set_node_replication_quorum('votes', 'votes_3', false);
SELECT * FROM stage.settle('votes');
SELECT stage.names('votes');
SELECT pgautofailover.set_node_replication_quorum('votes', 'votes_3', true);
SELECT * FROM stage.settle('votes');
SELECT stage.names('votes');
SELECT stage.try($$pgautofailover.set_node_replication_quorum('votes', 'votes_4', true)$$);

-- n standbys to wait for need n+1 with a vote.
SELECT stage.try($$pgautofailover.set_formation_number_sync_standbys('votes', 2)$$);
SELECT number_sync_standbys FROM pgautofailover.formation WHERE formationid = 'votes';
SELECT pgautofailover.set_formation_number_sync_standbys('votes', 1);
SELECT pgautofailover.set_formation_number_sync_standbys('votes', 1);
SELECT * FROM stage.settle('votes');
SELECT stage.names('votes');
SELECT number_sync_standbys FROM pgautofailover.formation WHERE formationid = 'votes';
SELECT stage.try($$pgautofailover.set_formation_number_sync_standbys('votes', -1)$$);
SELECT stage.try($$pgautofailover.set_formation_number_sync_standbys('votes', NULL)$$);
SELECT stage.try($$pgautofailover.set_formation_number_sync_standbys('nowhere', 1)$$);

-- Then one of the two may go, and the last one may not.
SELECT pgautofailover.start_maintenance(stage.id('votes_3'));
SELECT * FROM stage.settle('votes');
SELECT stage.try($$pgautofailover.start_maintenance(stage.id('votes_1'))$$);
SELECT stage.try($$pgautofailover.remove_node(stage.id('votes_1'))$$);
SELECT stage.try($$pgautofailover.remove_node(stage.id('votes_1'), true)$$);
SELECT pgautofailover.stop_maintenance(stage.id('votes_3'));
SELECT pgautofailover.set_formation_number_sync_standbys('votes', 0);
SELECT * FROM stage.settle('votes');
SELECT stage.names('votes');

-- A promotion that names the node, whatever its priority.
SELECT pgautofailover.perform_promotion('votes', 'votes_3');
SELECT wanted = stage.id('votes_3') FROM pgautofailover.group_state WHERE formationid = 'votes';
SELECT * FROM stage.settle('votes');
SELECT wanted FROM pgautofailover.group_state WHERE formationid = 'votes';
SELECT pgautofailover.perform_promotion('votes', 'votes_3');
SELECT stage.try($$pgautofailover.perform_promotion('votes', 'votes_4')$$);
SELECT stage.try($$pgautofailover.perform_promotion(NULL, 'votes_3')$$);
SELECT pgautofailover.start_maintenance(stage.id('votes_2'));
SELECT stage.try($$pgautofailover.perform_promotion('votes', 'votes_2')$$);

-- A group of one has nobody to wait for, whatever its formation asks for.
SELECT stage.set('alone', 1);
SELECT pgautofailover.set_formation_number_sync_standbys('alone', 3);
SELECT * FROM stage.settle('alone');
