CREATE FUNCTION pgautofailover.perform_failover(formation_id text DEFAULT 'default', group_id int DEFAULT 0)
RETURNS void
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'perform_failover_wrapper';
COMMENT ON FUNCTION pgautofailover.perform_failover IS 'hands the role of the primary over to a standby; returns at once';
GRANT EXECUTE ON FUNCTION pgautofailover.perform_failover TO autoctl_node;

CREATE FUNCTION pgautofailover.forget_failovers(formation_id text DEFAULT 'default', group_id int DEFAULT 0)
RETURNS void
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'forget_failovers_wrapper';
COMMENT ON FUNCTION pgautofailover.forget_failovers IS 'has the next failover of a group by a time-out be as fast as if there had been none before';
GRANT EXECUTE ON FUNCTION pgautofailover.forget_failovers TO autoctl_node;

CREATE FUNCTION pgautofailover.perform_promotion(formation_id text, node_name text) RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'perform_promotion_wrapper';
COMMENT ON FUNCTION pgautofailover.perform_promotion IS 'hands the role of the primary over to this standby, whatever its priority; false when it is the primary already; returns at once';
GRANT EXECUTE ON FUNCTION pgautofailover.perform_promotion TO autoctl_node;
