CREATE FUNCTION pgautofailover.register(
    formation text, host text, port int, dbname text, name text, system_identifier bigint, desired_id bigint,
    desired_group int, initial_state text, kind text, priority int, quorum bool, cluster text) RETURNS bigint
LANGUAGE c AS 'MODULE_PATHNAME', 'register_wrapper';
COMMENT ON FUNCTION pgautofailover.register IS 'internal: what stands behind register_node';

CREATE FUNCTION pgautofailover.register_node(
    formation_id text, node_host text, node_port int, dbname name, node_name text DEFAULT '',
    sysidentifier bigint DEFAULT 0, desired_node_id bigint DEFAULT -1, desired_group_id int DEFAULT -1,
    initial_group_role pgautofailover.replication_state DEFAULT 'init', node_kind text DEFAULT 'standalone',
    candidate_priority int DEFAULT 100, replication_quorum bool DEFAULT true, node_cluster text DEFAULT 'default',
    OUT assigned_node_id bigint, OUT assigned_group_id int,
    OUT assigned_group_state pgautofailover.replication_state, OUT assigned_candidate_priority int,
    OUT assigned_replication_quorum bool, OUT assigned_node_name text)
RETURNS record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    id := pgautofailover.register(formation_id, node_host, node_port, coalesce(dbname::text, ''),
                                  coalesce(node_name, ''), coalesce(sysidentifier, 0),
                                  coalesce(desired_node_id, -1), coalesce(desired_group_id, -1),
                                  coalesce(initial_group_role, 'init')::text, coalesce(node_kind, 'standalone'),
                                  coalesce(candidate_priority, 100), coalesce(replication_quorum, true),
                                  coalesce(node_cluster, 'default'));
    SELECT n.nodeid, n.groupid, n.goalstate, n.candidatepriority, n.replicationquorum, n.nodename
      INTO assigned_node_id, assigned_group_id, assigned_group_state, assigned_candidate_priority,
           assigned_replication_quorum, assigned_node_name
      FROM pgautofailover.node_state n WHERE n.nodeid = id;
END
$$;
COMMENT ON FUNCTION pgautofailover.register_node IS 'takes a node into a formation; repeating it returns the same node';
GRANT EXECUTE ON FUNCTION pgautofailover.register_node TO autoctl_node;

CREATE FUNCTION pgautofailover.set_system_identifier(node_id bigint, system_identifier bigint) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'set_system_identifier_wrapper';
COMMENT ON FUNCTION pgautofailover.set_system_identifier IS 'internal: what stands behind set_node_system_identifier';

CREATE FUNCTION pgautofailover.set_node_system_identifier(
    INOUT node_id bigint, sysid bigint, OUT node_name text, OUT node_host text, OUT node_port int)
RETURNS record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
BEGIN
    PERFORM pgautofailover.set_system_identifier(node_id, sysid);
    SELECT n.nodename, n.nodehost, n.nodeport INTO node_name, node_host, node_port
      FROM pgautofailover.node_state n WHERE n.nodeid = node_id;
END
$$;
COMMENT ON FUNCTION pgautofailover.set_node_system_identifier IS 'tells the system identifier of a node''s cluster, once it is known';
GRANT EXECUTE ON FUNCTION pgautofailover.set_node_system_identifier TO autoctl_node;

CREATE FUNCTION pgautofailover.update_node_metadata(node_id bigint, node_name text, node_host text, node_port int) RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'update_node_metadata_wrapper';
COMMENT ON FUNCTION pgautofailover.update_node_metadata IS 'gives a node another name or address; what is NULL stays as it is';
GRANT EXECUTE ON FUNCTION pgautofailover.update_node_metadata TO autoctl_node;

CREATE FUNCTION pgautofailover.remove_node(node_id bigint, force bool DEFAULT false) RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'remove_node_wrapper';
COMMENT ON FUNCTION pgautofailover.remove_node(bigint, bool) IS 'removes a node from its group; false when there is none of that id';
GRANT EXECUTE ON FUNCTION pgautofailover.remove_node(bigint, bool) TO autoctl_node;

CREATE FUNCTION pgautofailover.remove_node(node_host text, node_port int DEFAULT 5432, force bool DEFAULT false)
RETURNS bool
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'remove_node_at_wrapper';
COMMENT ON FUNCTION pgautofailover.remove_node(text, int, bool) IS 'removes the node at an address; false when there is none';
GRANT EXECUTE ON FUNCTION pgautofailover.remove_node(text, int, bool) TO autoctl_node;
