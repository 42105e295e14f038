-- Groups that wait: for what, and what ends it.
CREATE FUNCTION pgautofailover.explain_group(formation_id text, group_id int) RETURNS jsonb
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'explain_group_wrapper';
COMMENT ON FUNCTION pgautofailover.explain_group IS 'internal: what stands behind explain';

CREATE FUNCTION pgautofailover.explain(
    formation_id text DEFAULT 'default', group_id int DEFAULT 0,
    OUT settled bool, OUT failover text, OUT waits_for text, OUT ends_by text, OUT patience text)
RETURNS record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT x.waits_for IS NULL, x.failover, x.waits_for, x.ends_by, x.patience
      FROM pg_catalog.jsonb_to_record(pgautofailover.explain_group(formation_id, group_id))
           AS x(failover text, waits_for text, ends_by text, patience text)
$$;
COMMENT ON FUNCTION pgautofailover.explain IS 'what a failover would come to now, what the group waits for, which event or command ends the wait, and how much longer than usual a time-out is after many failovers';
GRANT EXECUTE ON FUNCTION pgautofailover.explain TO autoctl_node;

CREATE FUNCTION pgautofailover.force_promotion(formation_id text, node_name text, accept_data_loss bool DEFAULT false) RETURNS text
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'force_promotion_wrapper';
COMMENT ON FUNCTION pgautofailover.force_promotion IS 'promotes a standby although others may have commits that it lacks, when no ordinary failover is possible; returns what may be lost, and is refused with that (2BP01) while data loss is not accepted';
GRANT EXECUTE ON FUNCTION pgautofailover.force_promotion TO autoctl_node;
