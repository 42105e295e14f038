-- A report that is evaluated and changes nothing writes nothing: its transaction gets no number, so it ends without WAL and without an fsync.
\pset format unaligned
\pset tuples_only on
SELECT stage.set('unchanged', 2);
CREATE FUNCTION pg_temp.goal() RETURNS text LANGUAGE sql AS $$
    SELECT pgautofailover.keeper_report(format(
        '{"version": 1, "node": %s, "state": "secondary", "term": 1, "history": 1, "timeline": 1, "lsn": "0/1000000",
          "checkpoint_timeline": 1, "receiver": "streaming", "in_recovery": true, "fenced": true}', stage.id('unchanged_2')))::jsonb->>'goal'
$$;
SELECT pg_temp.goal();
SELECT pg_temp.goal();
BEGIN;
-- Under evaluation, no answer from before is given.
SELECT pgautofailover.evaluate(g.groupserial) FROM pgautofailover.group_state g WHERE g.formationid = 'unchanged';
SELECT pg_temp.goal(), pg_current_xact_id_if_assigned();
COMMIT;
