-- A node may ask and report, and change nothing by itself.
\set VERBOSITY sqlstate
\pset format unaligned
SET ROLE autoctl_node;
SELECT count(*) >= 0 AS readable FROM pgautofailover.node;
SELECT count(*) >= 0 AS readable FROM pgautofailover.event;
SELECT count(*) >= 0 AS readable FROM pgautofailover.formation;
SELECT count(*) >= 0 AS readable FROM pgautofailover.current_state();
SELECT count(*) >= 0 AS readable FROM pgautofailover.last_events(3);

-- Not the password, and no table by hand.
SELECT replication_password FROM pgautofailover.group_state;
DELETE FROM pgautofailover.formation;
INSERT INTO pgautofailover.formation (formationid) VALUES ('mine');
DELETE FROM pgautofailover.event;
RESET ROLE;

-- Nobody else may call anything.
SELECT p.oid::regprocedure AS callable_by_public
  FROM pg_proc p
 WHERE p.pronamespace = 'pgautofailover'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')
 ORDER BY 1;

-- What runs with its owner's rights looks up names where its owner said.
SELECT p.oid::regprocedure AS unpinned
  FROM pg_proc p
 WHERE p.pronamespace = 'pgautofailover'::regnamespace AND p.prosecdef
   AND NOT coalesce(p.proconfig::text LIKE '%search_path%', false)
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
