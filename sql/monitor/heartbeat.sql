CREATE FUNCTION pgautofailover.answer_report(report text) RETURNS text
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'answer_report_wrapper';
COMMENT ON FUNCTION pgautofailover.answer_report IS 'internal: what stands behind keeper_report when something is new';
GRANT EXECUTE ON FUNCTION pgautofailover.answer_report TO autoctl_node;

-- Touches shared memory only, and calls the one above for the rest: see ext-monitor/src/api/heartbeat.rs.
CREATE FUNCTION pgautofailover.keeper_report(report text) RETURNS text
LANGUAGE c AS 'MODULE_PATHNAME', 'keeper_report_wrapper';
COMMENT ON FUNCTION pgautofailover.keeper_report IS 'heartbeat of a keeper: its report as JSON in, its assignment as JSON out';
GRANT EXECUTE ON FUNCTION pgautofailover.keeper_report TO autoctl_node;

CREATE FUNCTION pgautofailover.hear_tool(
    node_id bigint, state text, is_running bool, timeline int, lsn text, rep_state text) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'hear_tool_wrapper';
COMMENT ON FUNCTION pgautofailover.hear_tool IS 'internal: what stands behind node_active';

CREATE FUNCTION pgautofailover.node_active(
    formation_id text, node_id bigint, group_id int,
    current_group_role pgautofailover.replication_state DEFAULT 'init', current_pg_is_running bool DEFAULT true,
    current_tli int DEFAULT 1, current_lsn pg_lsn DEFAULT '0/0', current_rep_state text DEFAULT '',
    OUT assigned_node_id bigint, OUT assigned_group_id int,
    OUT assigned_group_state pgautofailover.replication_state, OUT assigned_candidate_priority int,
    OUT assigned_replication_quorum bool)
RETURNS record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pgautofailover.node_state n
                    WHERE n.nodeid = node_id AND n.formationid = formation_id AND n.groupid = group_id) THEN
        RAISE undefined_object USING
            MESSAGE = format('group %s of formation "%s" has no node %s', group_id, formation_id, node_id),
            HINT = 'Register it with pgautofailover.register_node.';
    END IF;
    PERFORM pgautofailover.hear_tool(node_id, current_group_role::text, current_pg_is_running, current_tli,
                                     current_lsn::text, coalesce(current_rep_state, ''));
    SELECT n.nodeid, n.groupid, n.goalstate, n.candidatepriority, n.replicationquorum
      INTO assigned_node_id, assigned_group_id, assigned_group_state, assigned_candidate_priority,
           assigned_replication_quorum
      FROM pgautofailover.node_state n WHERE n.nodeid = node_id;
    IF NOT FOUND THEN
        -- It was told to leave, said that it did, and is forgotten with that.
        SELECT node_id, group_id, 'dropped', 0, false
          INTO assigned_node_id, assigned_group_id, assigned_group_state, assigned_candidate_priority,
               assigned_replication_quorum;
    END IF;
END
$$;
COMMENT ON FUNCTION pgautofailover.node_active IS 'heartbeat of a tool that simulates a node: the state it has reached in, the state to reach out';
GRANT EXECUTE ON FUNCTION pgautofailover.node_active TO autoctl_node;

CREATE FUNCTION pgautofailover.evaluate(group_serial int, ask bool DEFAULT false) RETURNS void
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'evaluate_group_wrapper';
COMMENT ON FUNCTION pgautofailover.evaluate IS 'internal: looks at a group again; with ask, has its keepers report at once';

CREATE FUNCTION pgautofailover.wake_up() RETURNS int
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'wake_up_wrapper';
COMMENT ON FUNCTION pgautofailover.wake_up IS 'internal: brings the board in shared memory in line with the tables; returns the number of groups';

CREATE FUNCTION pgautofailover.clear_board() RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'clear_board_wrapper';
COMMENT ON FUNCTION pgautofailover.clear_board IS 'internal: empties the board, for a new extension begins with new ids';
SELECT pgautofailover.clear_board();
