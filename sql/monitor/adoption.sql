CREATE FUNCTION pgautofailover.adopt(
    formation_id text, node_id bigint, group_id int, node_name text, node_host text, node_port int, dbname text,
    sysidentifier bigint, candidate_priority int, replication_quorum bool, node_cluster text, report text, rule text)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'adopt_wrapper';
COMMENT ON FUNCTION pgautofailover.adopt IS 'internal: what stands behind adopt_node';

CREATE FUNCTION pgautofailover.adopt_node(
    formation_id text, node_id bigint, group_id int, node_name text, node_host text, node_port int, dbname name,
    sysidentifier bigint, candidate_priority int, replication_quorum bool, node_cluster text, report text, rule text,
    OUT assigned_node_id bigint, OUT assigned_group_id int,
    OUT assigned_group_state pgautofailover.replication_state, OUT assigned_candidate_priority int,
    OUT assigned_replication_quorum bool, OUT assigned_node_name text)
RETURNS record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
BEGIN
    PERFORM pgautofailover.adopt(formation_id, node_id, group_id, node_name, node_host, node_port, dbname::text,
                                 sysidentifier, candidate_priority, replication_quorum, node_cluster, report, rule);
    SELECT n.nodeid, n.groupid, n.goalstate, n.candidatepriority, n.replicationquorum, n.nodename
      INTO assigned_node_id, assigned_group_id, assigned_group_state, assigned_candidate_priority,
           assigned_replication_quorum, assigned_node_name
      FROM pgautofailover.node_state n WHERE n.nodeid = adopt_node.node_id;
END
$$;
COMMENT ON FUNCTION pgautofailover.adopt_node IS 'takes a node of another monitor in, in the role that it has; nothing is decided for its group before every node that commits wait for has come';
GRANT EXECUTE ON FUNCTION pgautofailover.adopt_node TO autoctl_node;
