-- Nodes of another monitor come to this one: with their ids, in their roles, and nothing is decided before all are here.
\pset format unaligned
\pset tuples_only on
SELECT formationid FROM pgautofailover.create_formation('moved', 'pgsql', 'postgres', true, 0);
SELECT formationid FROM pgautofailover.create_formation('beside', 'pgsql', 'postgres', true, 0);
CREATE FUNCTION pg_temp.adopt(id bigint, report jsonb, rule jsonb, name text DEFAULT NULL, priority int DEFAULT 50,
    identifier bigint DEFAULT 99) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s %s %s', assigned_node_name, assigned_group_id, assigned_group_state, assigned_candidate_priority)
      FROM pgautofailover.adopt_node('moved', id, 0, coalesce(name, 'moved_' || id), '192.0.2.' || id % 100, 5400, 'shop', identifier, priority,
                                     true, 'default', ('{"version": 1}' || report)::text, rule::text)
$$;
CREATE FUNCTION pg_temp.report(id bigint, state text, rule int DEFAULT 0) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object(
        'node', id, 'state', state, 'term', 7, 'pledge', 6, 'history', 7, 'timeline', 3, 'lsn', '0/5000000', 'rule', rule,
        'checkpoint_timeline', 3, 'passwords', '{"replication": 5}'::jsonb, 'in_recovery', state <> 'primary', 'boot', 4, 'system_identifier', 99,
        'receiver', CASE WHEN state = 'primary' THEN 'none' ELSE 'streaming' END)
$$;
\set rule {"number": 12, "wait_for": 1, "members": [1002, 1003]}
\set none {"number": 0, "wait_for": 0, "members": []}

-- The writer first. What it tells counts when all have come whom it names.
SELECT pg_temp.adopt(1001, pg_temp.report(1001, 'primary', 12), :'rule');
SELECT behind, term, rule, awaited FROM pgautofailover.group_state WHERE formationid = 'moved';
SELECT r.term, writer, timeline FROM pgautofailover.reign r JOIN pgautofailover.group_state USING (groupserial) WHERE formationid = 'moved';
SELECT dbname FROM pgautofailover.formation WHERE formationid = 'moved';

-- It is told nothing, and goes on as it is.
SELECT answer->>'goal', answer->>'incomplete', answer->>'lease' IS NOT NULL, answer->'rule', answer->>'replication_password' IS NULL
  FROM (SELECT pgautofailover.keeper_report(('{"version": 1}' || pg_temp.report(1001, 'primary', 12))::text)::jsonb AS answer) AS said;

-- No id that the group knows is given to anybody else.
SELECT stage.try('pg_temp.adopt(1002, pg_temp.report(1002, ''secondary''), ''{"number": 0, "wait_for": 0, "members": []}'', ''moved_1001'')');
SELECT stage.try('(SELECT assigned_node_id FROM pgautofailover.register_node(''beside'', ''192.0.2.77'', 5400, ''postgres'', desired_node_id => 1003))');
SELECT assigned_node_id > 1003 FROM pgautofailover.register_node('beside', '192.0.2.77', 5400, 'postgres');
SELECT pgautofailover.remove_node('192.0.2.77', 5400, true);

-- Nothing is decided for the group.
SELECT stage.try('pgautofailover.perform_failover(''moved'')');
SELECT stage.try('pgautofailover.start_maintenance(1001)');

-- A standby. Repeating it changes nothing.
SELECT pg_temp.adopt(1002, pg_temp.report(1002, 'secondary'), :'none');
SELECT pg_temp.adopt(1002, pg_temp.report(1002, 'secondary'), :'none');
SELECT awaited FROM pgautofailover.group_state WHERE formationid = 'moved';

-- What does not fit is refused.
SELECT stage.try('pg_temp.adopt(1003, pg_temp.report(1002, ''secondary''), ''{"number": 0, "wait_for": 0, "members": []}'')');
SELECT stage.try('pg_temp.adopt(1003, pg_temp.report(1003, ''secondary''), ''{"number": 0, "wait_for": 0, "members": []}'', identifier => 98)');
SELECT stage.try('pg_temp.adopt(1003, pg_temp.report(1003, ''fast_forward''), ''{"number": 0, "wait_for": 0, "members": []}'')');
SELECT stage.try('pg_temp.adopt(1004, pg_temp.report(1004, ''primary'', 1), ''{"number": 1, "wait_for": 1, "members": [1001]}'')');
SELECT stage.try('pg_temp.adopt(1003, pg_temp.report(1003, ''secondary''), ''{"number": 1, "wait_for": 2, "members": [1001]}'')');
SELECT stage.try('pg_temp.adopt(1003, pg_temp.report(1003, ''secondary'') || ''{"term": 9999999999999999999}'', ''{"number": 1, "wait_for": 0, "members": []}'')');
SELECT stage.try('pg_temp.adopt(0, pg_temp.report(0, ''secondary''), ''{"number": 1, "wait_for": 0, "members": []}'')');
SELECT stage.try('pg_temp.adopt(1002, pg_temp.report(1002, ''secondary''), ''{"number": 0, "wait_for": 0, "members": []}'', priority => 101)');
SELECT stage.try('pg_temp.adopt(1102, pg_temp.report(1102, ''secondary''), ''{"number": 0, "wait_for": 0, "members": []}'', ''another'')');

-- One that never comes is given up by force, and only so. Then the group is one like any other.
SELECT pgautofailover.remove_node(1003);
SELECT pgautofailover.remove_node(1003, true);
SELECT pgautofailover.remove_node(1003, true);
SELECT behind, term, awaited FROM pgautofailover.group_state WHERE formationid = 'moved';
SELECT r.term, writer, timeline FROM pgautofailover.reign r JOIN pgautofailover.group_state USING (groupserial) WHERE formationid = 'moved';
SELECT answer->>'goal', answer->'rule', answer->>'replication_password' IS NOT NULL
  FROM (SELECT pgautofailover.keeper_report(('{"version": 1}' || pg_temp.report(1001, 'primary', 12) || '{"followers": [1002]}')::text)::jsonb AS answer) AS said;
