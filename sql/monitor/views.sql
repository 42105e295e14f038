CREATE FUNCTION pgautofailover.is_writer(
    goal pgautofailover.replication_state, reported pgautofailover.replication_state) RETURNS bool
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT goal IN ('single', 'wait_primary', 'primary') AND reported IN ('single', 'wait_primary', 'primary')
$$;
COMMENT ON FUNCTION pgautofailover.is_writer IS 'whether a node in these states accepts writes, and is meant to';
GRANT EXECUTE ON FUNCTION pgautofailover.is_writer TO autoctl_node;

CREATE FUNCTION pgautofailover.get_nodes(
    formation_id text DEFAULT 'default', group_id int DEFAULT NULL,
    OUT node_id bigint, OUT node_name text, OUT node_host text, OUT node_port int, OUT node_lsn pg_lsn,
    OUT node_is_primary bool)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport, n.reportedlsn,
           pgautofailover.is_writer(n.goalstate, n.reportedstate)
      FROM pgautofailover.node n
     WHERE n.formationid = formation_id AND (group_id IS NULL OR n.groupid = group_id)
     ORDER BY n.groupid, n.nodeid
$$;
COMMENT ON FUNCTION pgautofailover.get_nodes IS 'the nodes of a formation, or of one group of it';
GRANT EXECUTE ON FUNCTION pgautofailover.get_nodes TO autoctl_node;

CREATE FUNCTION pgautofailover.get_other_nodes(
    node_id bigint,
    OUT node_id bigint, OUT node_name text, OUT node_host text, OUT node_port int, OUT node_lsn pg_lsn, OUT node_is_primary bool)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport, n.reportedlsn,
           pgautofailover.is_writer(n.goalstate, n.reportedstate)
      FROM pgautofailover.node_state me JOIN pgautofailover.node n USING (groupserial)
     WHERE me.nodeid = $1 AND n.nodeid <> $1
     ORDER BY n.nodeid
$$;
COMMENT ON FUNCTION pgautofailover.get_other_nodes(bigint) IS 'the other nodes of a node''s group';
GRANT EXECUTE ON FUNCTION pgautofailover.get_other_nodes(bigint) TO autoctl_node;

CREATE FUNCTION pgautofailover.get_other_nodes(
    node_id bigint, current_state pgautofailover.replication_state,
    OUT node_id bigint, OUT node_name text, OUT node_host text, OUT node_port int, OUT node_lsn pg_lsn, OUT node_is_primary bool)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport, n.reportedlsn,
           pgautofailover.is_writer(n.goalstate, n.reportedstate)
      FROM pgautofailover.node_state me JOIN pgautofailover.node n USING (groupserial)
     WHERE me.nodeid = $1 AND n.nodeid <> $1 AND n.reportedstate = current_state
     ORDER BY n.nodeid
$$;
COMMENT ON FUNCTION pgautofailover.get_other_nodes(bigint, pgautofailover.replication_state) IS 'the other nodes of a node''s group that have reported a certain state';
GRANT EXECUTE ON FUNCTION pgautofailover.get_other_nodes(bigint, pgautofailover.replication_state) TO autoctl_node;

CREATE FUNCTION pgautofailover.get_primary(
    formation_id text DEFAULT 'default', group_id int DEFAULT 0,
    OUT primary_node_id bigint, OUT primary_name text, OUT primary_host text, OUT primary_port int)
RETURNS record
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
BEGIN
    SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport
      INTO primary_node_id, primary_name, primary_host, primary_port
      FROM pgautofailover.node_state n
     WHERE n.formationid = formation_id AND n.groupid = group_id
       AND pgautofailover.is_writer(n.goalstate, n.reportedstate)
     ORDER BY n.term DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('group %s of formation "%s" has no writable node at this moment', group_id, formation_id),
            HINT = 'pg_autoctl show state tells what the nodes are doing.';
    END IF;
END
$$;
COMMENT ON FUNCTION pgautofailover.get_primary IS 'the node of a group that accepts writes; an error when there is none';
GRANT EXECUTE ON FUNCTION pgautofailover.get_primary TO autoctl_node;

CREATE FUNCTION pgautofailover.get_most_advanced_standby(
    formation_id text DEFAULT 'default', group_id int DEFAULT 0,
    OUT node_id bigint, OUT node_name text, OUT node_host text, OUT node_port int, OUT node_lsn pg_lsn,
    OUT node_is_primary bool)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    -- A longer WAL of an older history is not further than a shorter one of a newer.
    SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport, n.reportedlsn, false
      FROM pgautofailover.node n
     WHERE n.formationid = formation_id AND n.groupid = group_id
       AND n.nodeid IS DISTINCT FROM (SELECT r.writer FROM pgautofailover.reign r WHERE r.groupserial = n.groupserial
                                       ORDER BY r.term DESC LIMIT 1)
       AND n.goalstate NOT IN ('dropped', 'maintenance', 'wait_maintenance')
     ORDER BY n.history DESC, n.reportedlsn DESC, n.candidatepriority DESC, n.nodeid LIMIT 1
$$;
COMMENT ON FUNCTION pgautofailover.get_most_advanced_standby IS 'the standby of a group that has most of its WAL; no row when there is none';
GRANT EXECUTE ON FUNCTION pgautofailover.get_most_advanced_standby TO autoctl_node;

CREATE FUNCTION pgautofailover.current_state(
    formation_id text DEFAULT 'default',
    OUT formation_kind text, OUT nodename text, OUT nodehost text, OUT nodeport int, OUT group_id int,
    OUT node_id bigint, OUT current_group_state pgautofailover.replication_state,
    OUT assigned_group_state pgautofailover.replication_state, OUT candidate_priority int,
    OUT replication_quorum bool, OUT reported_tli int, OUT reported_lsn pg_lsn, OUT health int, OUT nodecluster text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT f.kind, n.nodename, n.nodehost, n.nodeport, n.groupid, n.nodeid, n.reportedstate, n.goalstate,
           n.candidatepriority, n.replicationquorum, n.reportedtli, n.reportedlsn, n.health, n.nodecluster
      FROM pgautofailover.formation f JOIN pgautofailover.node n USING (formationid)
     WHERE f.formationid = formation_id
     ORDER BY n.groupid, n.nodeid
$$;
COMMENT ON FUNCTION pgautofailover.current_state(text) IS 'every node of a formation, with its state and what it was assigned';
GRANT EXECUTE ON FUNCTION pgautofailover.current_state(text) TO autoctl_node;

CREATE FUNCTION pgautofailover.current_state(
    formation_id text, group_id int,
    OUT formation_kind text, OUT nodename text, OUT nodehost text, OUT nodeport int, OUT group_id int,
    OUT node_id bigint, OUT current_group_state pgautofailover.replication_state,
    OUT assigned_group_state pgautofailover.replication_state, OUT candidate_priority int,
    OUT replication_quorum bool, OUT reported_tli int, OUT reported_lsn pg_lsn, OUT health int, OUT nodecluster text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT s.* FROM pgautofailover.current_state(formation_id) AS s WHERE s.group_id = $2
$$;
COMMENT ON FUNCTION pgautofailover.current_state(text, int) IS 'every node of a group, with its state and what it was assigned';
GRANT EXECUTE ON FUNCTION pgautofailover.current_state(text, int) TO autoctl_node;

-- With its owner's rights, for nodes may not read the table that says which group is which.
CREATE FUNCTION pgautofailover.timing(
    formation_id text DEFAULT NULL, group_id int DEFAULT NULL, count int DEFAULT 10,
    OUT formationid text, OUT groupid int, OUT term bigint, OUT cause text, OUT old_primary text, OUT new_primary text,
    OUT suspected timestamptz, OUT convicted timestamptz, OUT pledged timestamptz, OUT promoted timestamptz,
    OUT first_write timestamptz,
    OUT convicted_ms float8, OUT pledged_ms float8, OUT promoted_ms float8, OUT first_write_ms float8, OUT total_ms float8)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    WITH latest AS (
        SELECT g.formationid, g.groupid, f.*
          FROM pgautofailover.failover f JOIN pgautofailover.group_state g USING (groupserial)
         WHERE (formation_id IS NULL OR g.formationid = formation_id) AND (group_id IS NULL OR g.groupid = group_id)
         ORDER BY f.convicted DESC, f.term DESC LIMIT pgautofailover.wanted_rows(count)),
    -- A node that has left goes by the name that it had when it was told of last.
    named AS (
        SELECT w.id, coalesce(
                   (SELECT n.nodename FROM pgautofailover.node_state n WHERE n.nodeid = w.id),
                   (SELECT e.nodename FROM pgautofailover.event e WHERE e.nodeid = w.id ORDER BY e.eventid DESC LIMIT 1),
                   'node ' || w.id) AS name
          FROM (SELECT old_writer FROM latest UNION SELECT winner FROM latest) AS w(id))
    SELECT l.formationid, l.groupid, l.term, l.cause, old.name, new.name,
           l.suspected, l.convicted, l.pledged, l.promoted, l.first_write,
           round(1000 * extract(epoch FROM l.convicted - l.suspected), 1)::float8,
           round(1000 * extract(epoch FROM l.pledged - l.convicted), 1)::float8,
           round(1000 * extract(epoch FROM l.promoted - l.pledged), 1)::float8,
           round(1000 * extract(epoch FROM l.first_write - l.promoted), 1)::float8,
           round(1000 * extract(epoch FROM l.first_write - l.suspected), 1)::float8
      FROM latest l LEFT JOIN named old ON old.id = l.old_writer LEFT JOIN named new ON new.id = l.winner
     ORDER BY l.convicted, l.term
$$;
COMMENT ON FUNCTION pgautofailover.timing IS 'the latest failovers and switchovers, oldest first: when each phase was reached, and how many milliseconds it took since the one before';
GRANT EXECUTE ON FUNCTION pgautofailover.timing TO autoctl_node;
