CREATE FUNCTION pgautofailover.synchronous_standby_names(formation_id text DEFAULT 'default', group_id int DEFAULT 0)
RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    WITH rule AS (
        SELECT CASE WHEN g.next_rule IS NOT NULL AND NOT (g.next_rule->>'offered')::bool
                    THEN g.next_rule->'rule' ELSE g.rule END AS r
          FROM pgautofailover.group_state g WHERE g.formationid = formation_id AND g.groupid = group_id),
    member AS (
        SELECT m.id::bigint AS id, (rule.r->>'wait_for')::int AS wait_for, coalesce(n.candidatepriority, 0) AS priority
          FROM rule, jsonb_array_elements_text(rule.r->'members') AS m(id)
          LEFT JOIN pgautofailover.node_state n ON n.nodeid = m.id::bigint)
    SELECT coalesce(
        (SELECT format('ANY %s (%s)', max(wait_for),
                       string_agg('pgautofailover_standby_' || id, ', ' ORDER BY priority DESC, id))
           FROM member WHERE wait_for > 0 HAVING count(*) > 0), '')
$$;
COMMENT ON FUNCTION pgautofailover.synchronous_standby_names IS 'synchronous_standby_names as the group''s primary has it, or is to have it; empty when commits wait for nobody';
GRANT EXECUTE ON FUNCTION pgautofailover.synchronous_standby_names TO autoctl_node;

CREATE FUNCTION pgautofailover.percent_encode(plain text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    WITH text AS MATERIALIZED (SELECT convert_to(plain, 'UTF8') AS bytes),
    byte AS (SELECT place, get_byte(bytes, place) AS code
               FROM text, generate_series(0, octet_length(bytes) - 1) AS place)
    SELECT coalesce(string_agg(CASE WHEN code < 128 AND chr(code) ~ '[A-Za-z0-9._~-]' THEN chr(code)
                                    ELSE '%' || upper(lpad(to_hex(code), 2, '0')) END, '' ORDER BY place), '')
      FROM byte
$$;
COMMENT ON FUNCTION pgautofailover.percent_encode IS 'a text as it may stand in any part of a URI';
GRANT EXECUTE ON FUNCTION pgautofailover.percent_encode TO autoctl_node;

CREATE FUNCTION pgautofailover.formation_uri(
    formation_id text DEFAULT 'default', cluster_name text DEFAULT 'default', sslmode text DEFAULT 'prefer',
    sslrootcert text DEFAULT '', sslcrl text DEFAULT '') RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
BEGIN
    IF coalesce(sslmode, '') NOT IN ('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('"%s" is not an sslmode', left(sslmode, 63)),
            HINT = 'The modes are disable, allow, prefer, require, verify-ca and verify-full.';
    END IF;
    RETURN (
        SELECT format('postgres://%s/%s?target_session_attrs=read-write&sslmode=%s%s%s',
                      string_agg(CASE WHEN position(':' IN n.nodehost) > 0
                                      -- The zone of a link-local address stands behind a percent sign.
                                      THEN '[' || replace(n.nodehost, '%', '%25') || ']'
                                      ELSE pgautofailover.percent_encode(n.nodehost) END
                                 || ':' || n.nodeport, ',' ORDER BY n.groupid, n.nodeid),
                      pgautofailover.percent_encode(f.dbname::text), sslmode,
                      '&sslrootcert=' || pgautofailover.percent_encode(nullif(sslrootcert, '')),
                      '&sslcrl=' || pgautofailover.percent_encode(nullif(sslcrl, '')))
          FROM pgautofailover.formation f JOIN pgautofailover.node_state n USING (formationid)
         WHERE f.formationid = formation_id AND n.nodecluster = cluster_name AND n.goalstate <> 'dropped'
         GROUP BY f.formationid, f.dbname);
END
$$;
COMMENT ON FUNCTION pgautofailover.formation_uri IS 'a connection string that finds the primary, whichever node that is; null without nodes';
GRANT EXECUTE ON FUNCTION pgautofailover.formation_uri TO autoctl_node;

CREATE FUNCTION pgautofailover.formation_settings(
    formation_id text DEFAULT 'default',
    OUT context text, OUT group_id int, OUT node_id bigint, OUT nodename text, OUT setting text, OUT value text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT s.context, s.group_id, s.node_id, s.nodename, s.setting, s.value
      FROM (SELECT 1 AS part, 'formation' AS context, NULL::int AS group_id, NULL::bigint AS node_id,
                   f.formationid AS nodename, x.setting, x.value
              FROM pgautofailover.formation f
             CROSS JOIN LATERAL (VALUES ('dbname', f.dbname::text), ('number_sync_standbys', f.number_sync_standbys::text),
                                        ('opt_secondary', f.opt_secondary::text)) AS x(setting, value)
             WHERE f.formationid = formation_id
            UNION ALL
            SELECT 2, 'primary', n.groupid, n.nodeid, n.nodename, 'synchronous_standby_names',
                   pgautofailover.synchronous_standby_names(n.formationid, n.groupid)
              FROM pgautofailover.node_state n
             WHERE n.formationid = formation_id AND pgautofailover.is_writer(n.goalstate, n.reportedstate)
            UNION ALL
            SELECT 3, 'node', n.groupid, n.nodeid, n.nodename, x.setting, x.value
              FROM pgautofailover.node_state n
             CROSS JOIN LATERAL (VALUES ('candidate priority', n.candidatepriority::text),
                                        ('replication quorum', n.replicationquorum::text)) AS x(setting, value)
             WHERE n.formationid = formation_id) AS s
     ORDER BY s.part, s.group_id, s.node_id, s.setting
$$;
COMMENT ON FUNCTION pgautofailover.formation_settings IS 'what is set for a formation and its nodes, and what its primaries make of it';
GRANT EXECUTE ON FUNCTION pgautofailover.formation_settings TO autoctl_node;
