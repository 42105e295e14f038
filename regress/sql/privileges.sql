-- Who may call what. A new function must be decided about here: every one is listed, with the roles that may execute it.
\pset format unaligned
\pset tuples_only on
SELECT format('%-14s %s(%s)', coalesce(
           (SELECT string_agg(r, ' ' ORDER BY place) FROM unnest(ARRAY['public', 'autoctl_node', 'autoctl']) WITH ORDINALITY AS role(r, place)
             WHERE has_function_privilege(r, p.oid, 'EXECUTE')
               -- An operator may do all that a node may.
               AND NOT (r = 'autoctl' AND has_function_privilege('autoctl_node', p.oid, 'EXECUTE'))), '-'),
           p.proname, pg_get_function_identity_arguments(p.oid)) AS may
  FROM pg_proc p
 WHERE p.pronamespace = 'pgautofailover'::regnamespace
 ORDER BY p.proname COLLATE "C", pg_get_function_identity_arguments(p.oid) COLLATE "C";

-- Who may read or write what, and nobody by being somebody.
SELECT format('%-14s %-11s %s', role, c.relname, string_agg(privilege, ' ' ORDER BY privilege))
  FROM pg_class c
 CROSS JOIN unnest(ARRAY['public', 'autoctl_node', 'autoctl']) AS role
 CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
 WHERE c.relnamespace = 'pgautofailover'::regnamespace AND c.relkind IN ('r', 'v')
   AND has_table_privilege(role, c.oid, privilege)
 GROUP BY role, c.relname ORDER BY role COLLATE "C", c.relname COLLATE "C";
SELECT c.relname AS sequence_usable
  FROM pg_class c CROSS JOIN unnest(ARRAY['public', 'autoctl_node', 'autoctl']) AS role
 WHERE c.relnamespace = 'pgautofailover'::regnamespace AND c.relkind = 'S'
   AND has_sequence_privilege(role, c.oid, 'USAGE, SELECT, UPDATE');
SELECT role FROM unnest(ARRAY['public', 'autoctl_node', 'autoctl']) AS role WHERE has_schema_privilege(role, 'pgautofailover', 'CREATE');

-- The same, tried: no password, no row by hand, nothing that is internal, nothing that is an operator's.
SET ROLE autoctl_node;
SELECT stage.try($$(SELECT replication_password FROM pgautofailover.group_state LIMIT 1)$$);
SELECT stage.try($$(SELECT password FROM pgautofailover.node_password)$$);
SELECT stage.try($$pgautofailover.node_password()$$);
SELECT stage.try($$pgautofailover.evaluate(1)$$);
SELECT stage.try($$pgautofailover.wake_up()$$);
SELECT stage.try($$pgautofailover.clear_board()$$);
SELECT stage.try($$pgautofailover.prune_events()$$);
SELECT stage.try($$pgautofailover.hear_tool(1, 'primary', true, 1, '0/0', '')$$);
SELECT stage.try($$pgautofailover.rotate_replication_password()$$);
SELECT stage.try($$pgautofailover.rotate_node_password()$$);
SELECT stage.try($$pgautofailover.finish_node_password_rotation()$$);
SELECT stage.try($$nextval('pgautofailover.node_nodeid_seq')$$);
\set VERBOSITY terse
DELETE FROM pgautofailover.formation;
INSERT INTO pgautofailover.formation (formationid) VALUES ('mine');
UPDATE pgautofailover.node_state SET goalstate = 'primary';
UPDATE pgautofailover.node SET goalstate = 'primary';
DELETE FROM pgautofailover.event;
DELETE FROM pgautofailover.reign;
ALTER FUNCTION pgautofailover.get_primary(text, int) SECURITY DEFINER;
CREATE FUNCTION pgautofailover.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
RESET ROLE;

-- Whoever may log in and nothing else can see nothing.
CREATE ROLE stranger;
SET ROLE stranger;
SELECT pgautofailover.get_primary();
SELECT * FROM pgautofailover.node;
RESET ROLE;
DROP ROLE stranger;

-- What runs with its owner's rights looks names up where its owner said.
SELECT p.oid::regprocedure AS unpinned
  FROM pg_proc p
 WHERE p.pronamespace = 'pgautofailover'::regnamespace AND p.prosecdef
   AND NOT coalesce(p.proconfig::text LIKE '%"search_path=pg_catalog, pgautofailover, pg_temp"%', false)
 ORDER BY 1;

-- Everything says what it is.
SELECT p.oid::regprocedure AS uncommented
  FROM pg_proc p
 WHERE p.pronamespace = 'pgautofailover'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
 ORDER BY 1;
SELECT c.oid::regclass AS uncommented
  FROM pg_class c
 WHERE c.relnamespace = 'pgautofailover'::regnamespace AND c.relkind IN ('r', 'v') AND obj_description(c.oid, 'pg_class') IS NULL
 ORDER BY 1;
