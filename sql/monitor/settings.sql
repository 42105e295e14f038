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

CREATE FUNCTION pgautofailover.formation_uri(
    formation_id text DEFAULT 'default', cluster_name text DEFAULT 'default', sslmode text DEFAULT 'prefer',
    sslrootcert text DEFAULT '', sslcrl text DEFAULT '') RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT format('postgres://%s/%s?target_session_attrs=read-write&sslmode=%s%s%s',
                  string_agg(CASE WHEN position(':' IN n.nodehost) > 0 THEN '[' || n.nodehost || ']' ELSE n.nodehost END
                             || ':' || n.nodeport, ',' ORDER BY n.nodeid),
                  f.dbname, sslmode,
                  CASE WHEN sslrootcert <> '' THEN '&sslrootcert=' || sslrootcert ELSE '' END,
                  CASE WHEN sslcrl <> '' THEN '&sslcrl=' || sslcrl ELSE '' END)
      FROM pgautofailover.formation f JOIN pgautofailover.node_state n USING (formationid)
     WHERE f.formationid = formation_id AND n.nodecluster = cluster_name AND n.goalstate <> 'dropped'
     GROUP BY f.formationid, f.dbname
$$;
COMMENT ON FUNCTION pgautofailover.formation_uri IS 'a connection string that finds the primary, whichever node that is';
GRANT EXECUTE ON FUNCTION pgautofailover.formation_uri TO autoctl_node;
