CREATE FUNCTION pgautofailover.perform_failover(formation_id text DEFAULT 'default', group_id int DEFAULT 0)
RETURNS void
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'perform_failover_wrapper';
COMMENT ON FUNCTION pgautofailover.perform_failover IS 'hands the role of the primary over to a standby; returns at once';
GRANT EXECUTE ON FUNCTION pgautofailover.perform_failover TO autoctl_node;
