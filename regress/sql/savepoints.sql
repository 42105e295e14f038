-- A part of a transaction is undone, and the rest of it counts: no keeper is given an answer from before.
\pset format unaligned
\pset tuples_only on
SELECT stage.set('parts', 3);
CREATE FUNCTION pg_temp.peers(name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s:%s', peer->>'host', peer->>'port'), ' ' ORDER BY peer->>'host')
      FROM jsonb_array_elements(pgautofailover.keeper_report(format(
           '{"version": 1, "node": %s, "state": "secondary", "term": 1, "history": 1, "timeline": 1, "lsn": "0/1000000",
             "checkpoint_timeline": 1, "receiver": "streaming", "in_recovery": true, "fenced": true}', stage.id(name)))::jsonb->'peers') AS peer
     WHERE peer->>'host' NOT LIKE '192.0.2.%'
$$;
SELECT pgautofailover.update_node_metadata(stage.id('parts_1'), NULL, 'first.example', 5432);
SELECT pg_temp.peers('parts_2');
SELECT pg_temp.peers('parts_3');
SELECT pg_temp.peers('parts_2');
SELECT pg_temp.peers('parts_3');
BEGIN;
SELECT pgautofailover.update_node_metadata(stage.id('parts_1'), NULL, 'second.example', 5432);
SAVEPOINT part;
SELECT pgautofailover.update_node_metadata(stage.id('parts_1'), NULL, 'third.example', 5432);
ROLLBACK TO part;
COMMIT;
SELECT pg_temp.peers('parts_2');
SELECT pg_temp.peers('parts_3');
