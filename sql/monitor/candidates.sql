CREATE FUNCTION pgautofailover.set_node_candidate_priority(formation_id text, node_name text, candidate_priority int) RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'set_node_candidate_priority_wrapper';
COMMENT ON FUNCTION pgautofailover.set_node_candidate_priority IS 'says how much a node is wished as primary: 0 (never) to 100';
GRANT EXECUTE ON FUNCTION pgautofailover.set_node_candidate_priority TO autoctl_node;

CREATE FUNCTION pgautofailover.set_node_replication_quorum(formation_id text, node_name text, replication_quorum bool) RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'set_node_replication_quorum_wrapper';
COMMENT ON FUNCTION pgautofailover.set_node_replication_quorum IS 'says whether commits may wait for a node';
GRANT EXECUTE ON FUNCTION pgautofailover.set_node_replication_quorum TO autoctl_node;
