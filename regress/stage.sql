-- What the cases share: simulated nodes that do as they are told.
CREATE SCHEMA stage;
GRANT USAGE ON SCHEMA stage TO PUBLIC;

CREATE FUNCTION stage.nodes(formation_id text) RETURNS TABLE (node text, reported text, assigned text)
LANGUAGE sql AS $$
    SELECT nodename, current_group_state::text, assigned_group_state::text FROM pgautofailover.current_state(formation_id)
$$;

-- One node reports that it has reached the state that it was assigned.
CREATE FUNCTION stage.obey(id bigint) RETURNS text
LANGUAGE sql AS $$
    SELECT said.assigned_group_state::text
      FROM pgautofailover.node n
     CROSS JOIN LATERAL (
           SELECT greatest(max(o.reportedtli), 1) AS tli, greatest(max(o.reportedlsn), '0/1000000') AS lsn
             FROM pgautofailover.node o WHERE o.groupserial = n.groupserial) AS wal
     CROSS JOIN LATERAL pgautofailover.node_active(
           n.formationid, n.nodeid, n.groupid,
           -- Drained, it shuts down.
           CASE WHEN n.goalstate = 'draining' AND n.reportedstate IN ('draining', 'demoted') THEN 'demoted' ELSE n.goalstate END,
           true,
           -- A promotion opens a timeline.
           wal.tli + (n.goalstate = 'prepare_promotion' AND n.reportedstate <> 'prepare_promotion')::int, wal.lsn) AS said
     WHERE n.nodeid = id
$$;

-- All nodes of a formation do so until nothing changes any more.
CREATE FUNCTION stage.settle(formation_id text) RETURNS TABLE (node text, reported text, assigned text)
LANGUAGE plpgsql AS $$
DECLARE
    before text;
    after text;
    id bigint;
BEGIN
    FOR round IN 1..60 LOOP
        before := after;
        FOR id IN SELECT n.nodeid FROM pgautofailover.node n WHERE n.formationid = formation_id ORDER BY 1 LOOP
            PERFORM stage.obey(id);
        END LOOP;
        SELECT string_agg(format('%s %s %s', s.node, s.reported, s.assigned), ', ') INTO after FROM stage.nodes(formation_id) s;
        after := after || (SELECT string_agg(format(' %s %s %s', g.rule, g.next_rule, g.election), '' ORDER BY g.groupid)
                             FROM pgautofailover.group_state g WHERE g.formationid = formation_id);
        IF after IS NOT DISTINCT FROM before THEN
            RETURN QUERY SELECT * FROM stage.nodes(formation_id);
            RETURN;
        END IF;
    END LOOP;
    RAISE 'formation % does not come to rest: %', formation_id, after;
END
$$;

-- A formation with so many nodes, called <formation>_1 and so on, that have come to rest.
CREATE FUNCTION stage.set(formation_id text, nodes int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    place int := (SELECT count(*) FROM pgautofailover.formation);
BEGIN
    PERFORM pgautofailover.create_formation(formation_id, 'pgsql', 'postgres', true, 0);
    FOR n IN 1..nodes LOOP
        PERFORM pgautofailover.register_node(
            formation_id, format('192.0.2.%s', n), 5000 + 10 * place, 'postgres', format('%s_%s', formation_id, n));
        PERFORM stage.settle(formation_id);
    END LOOP;
END
$$;

-- The id of a node, by its name.
CREATE FUNCTION stage.id(name text) RETURNS bigint
LANGUAGE sql AS $$ SELECT nodeid FROM pgautofailover.node_state WHERE nodename = name $$;

-- A call's outcome: what it returned, or its SQLSTATE, message and hint. Ids depend on what ran before, so they are left out.
CREATE FUNCTION stage.try(call text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    hint text;
BEGIN
    EXECUTE 'SELECT (' || call || ')::text' INTO answer;
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN format('%s: %s. %s', SQLSTATE, regexp_replace(SQLERRM, '\mnode (id )?[0-9]+', 'node N'), hint);
END
$$;

-- synchronous_standby_names, with the names of the nodes in place of their ids.
CREATE FUNCTION stage.names(formation_id text, group_id int DEFAULT 0) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    names text := pgautofailover.synchronous_standby_names(formation_id, group_id);
    n record;
BEGIN
    FOR n IN SELECT nodeid, nodename FROM pgautofailover.node ORDER BY nodeid DESC LOOP
        names := regexp_replace(names, format('pgautofailover_standby_%s\M', n.nodeid), n.nodename);
    END LOOP;
    RETURN names;
END
$$;
