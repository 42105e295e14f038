CREATE FUNCTION pgautofailover.start_maintenance(node_id bigint) RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'start_maintenance_wrapper';
COMMENT ON FUNCTION pgautofailover.start_maintenance(bigint) IS 'takes a standby out of synchronous replication, so that its server may be taken down; false when there is no node of that id; returns at once';
GRANT EXECUTE ON FUNCTION pgautofailover.start_maintenance(bigint) TO autoctl_node;

CREATE FUNCTION pgautofailover.start_maintenance(node_name text, node_port int DEFAULT 5432) RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'start_maintenance_named_wrapper';
COMMENT ON FUNCTION pgautofailover.start_maintenance(text, int) IS 'the same for the node at this host and port, or of this name and port';
GRANT EXECUTE ON FUNCTION pgautofailover.start_maintenance(text, int) TO autoctl_node;

CREATE FUNCTION pgautofailover.stop_maintenance(node_id bigint) RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'stop_maintenance_wrapper';
COMMENT ON FUNCTION pgautofailover.stop_maintenance(bigint) IS 'has a node in maintenance catch up and be a standby again; false when there is no node of that id; returns at once';
GRANT EXECUTE ON FUNCTION pgautofailover.stop_maintenance(bigint) TO autoctl_node;

CREATE FUNCTION pgautofailover.stop_maintenance(node_name text, node_port int DEFAULT 5432) RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'stop_maintenance_named_wrapper';
COMMENT ON FUNCTION pgautofailover.stop_maintenance(text, int) IS 'the same for the node at this host and port, or of this name and port';
GRANT EXECUTE ON FUNCTION pgautofailover.stop_maintenance(text, int) TO autoctl_node;
