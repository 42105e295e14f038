-- When a failover reached which phase, and what of a keeper's word about its first write is believed.
\pset format unaligned
SELECT stage.set('timing', 2);
SELECT pgautofailover.perform_failover('timing', 0);
SELECT count(*) FROM stage.settle('timing');
SELECT formationid, groupid, term, cause, old_primary, new_primary,
       suspected <= convicted AND convicted <= pledged AND pledged <= promoted AS in_order,
       abs(convicted_ms + pledged_ms + promoted_ms - extract(epoch FROM promoted - suspected) * 1000) < 0.5 AS adds_up,
       first_write, first_write_ms, total_ms
  FROM pgautofailover.timing('timing');

CREATE FUNCTION pg_temp.tells(name text, first_write text) RETURNS TABLE (believed text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pgautofailover.keeper_report(
        format('{"version": 1, "node": %s, "state": "primary", "first_write": %s}', stage.id(name), first_write));
    RETURN QUERY SELECT CASE WHEN t.first_write IS NULL THEN 'no' WHEN t.first_write = t.promoted THEN 'as the promotion'
                             WHEN t.first_write > clock_timestamp() THEN 'in the future' ELSE 'yes' END
                   FROM pgautofailover.timing('timing') t;
END
$$;
-- Of a term that is not this one, and by a node that is not its primary.
SELECT pg_temp.tells('timing_2', '{"term": 1, "ago": 0}');
SELECT pg_temp.tells('timing_2', '{"term": 3, "ago": 0}');
SELECT pg_temp.tells('timing_1', '{"term": 2, "ago": 0}');
-- What is no number of milliseconds, or too large for one.
SELECT stage.try($$pgautofailover.keeper_report('{"version": 1, "node": 4711, "state": "primary", "first_write": {"term": 2, "ago": -1}}')$$);
SELECT stage.try($$pg_temp.tells('timing_2', '{"term": 2, "ago": 18446744073709551615}')$$);
-- Longer ago than the promotion.
SELECT pg_temp.tells('timing_2', '{"term": 2, "ago": 1125899906842624}');
-- It is told once.
SELECT pg_temp.tells('timing_2', '{"term": 2, "ago": 0}');

-- The latest, of one group, of one formation, or of all.
SELECT count(*) FROM pgautofailover.timing('timing', 0);
SELECT count(*) FROM pgautofailover.timing('timing', 1);
SELECT count(*) FROM pgautofailover.timing('nobody');
SELECT count(*) FROM pgautofailover.timing(count => 1);
SELECT stage.try($$(SELECT count(*) FROM pgautofailover.timing('timing', 0, -1))$$);

-- Kept for as long as events.
UPDATE pgautofailover.failover f SET convicted = convicted - interval '31 days'
  FROM pgautofailover.group_state g WHERE g.groupserial = f.groupserial AND g.formationid = 'timing';
SELECT pgautofailover.prune_events();
SELECT formationid FROM pgautofailover.timing() WHERE formationid IN ('pair', 'timing');
