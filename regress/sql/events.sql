-- What the monitor says is in the table event, and last_events shows the end of it.
\pset format unaligned
\pset tuples_only on
SELECT formationid FROM pgautofailover.create_formation('heard', 'pgsql', 'postgres', true, 0);
-- Repeating it changes nothing, so there is nothing to tell.
SELECT formationid FROM pgautofailover.create_formation('heard', 'pgsql', 'postgres', true, 0);
SELECT assigned_node_id AS a FROM pgautofailover.register_node('heard', '192.0.2.31', 5031, 'postgres', 'a') \gset
SELECT assigned_group_state FROM pgautofailover.node_active('heard', :a, 0, 'single');
SELECT assigned_group_state FROM pgautofailover.node_active('heard', :a, 0, 'single');
SELECT replace(replace(description, 'Node ' || :a, 'Node N'), session_user, 'me'), groupid, nodename, reportedstate, goalstate
  FROM pgautofailover.event WHERE formationid = 'heard' ORDER BY eventid;

-- The latest, oldest first; of everything, of a formation, of a group. NULL means as many as without a number. A second argument
-- without its name could be the group or the number.
SELECT count(*) <= 10, array_agg(eventid) = array_agg(eventid ORDER BY eventid) FROM pgautofailover.last_events();
SELECT count(*) FROM pgautofailover.last_events(2);
SELECT count(*) FROM pgautofailover.last_events(0);
SELECT count(*) <= 10 FROM pgautofailover.last_events(NULL::int);
SELECT count(*) FROM pgautofailover.last_events('heard', count => 2);
SELECT count(*) FROM pgautofailover.last_events('heard', count => 0);
SELECT count(*) = 4 FROM pgautofailover.last_events('heard', count => NULL);
SELECT count(*) FROM pgautofailover.last_events('heard', 0, 100);
SELECT count(*) FROM pgautofailover.last_events('heard', 1, 100);
SELECT count(*) FROM pgautofailover.last_events('neverland', count => 100);
\set VERBOSITY sqlstate
SELECT * FROM pgautofailover.last_events(-1);
SELECT * FROM pgautofailover.last_events('heard', count => -1);
SELECT * FROM pgautofailover.last_events('heard', 0, -1);

-- Nodes read events, and write none; what makes them is not theirs to call.
SET ROLE autoctl_node;
SELECT count(*) FROM pgautofailover.last_events('heard', count => 100);
SELECT count(*) > 0 FROM pgautofailover.event;
SELECT count(*) >= 0 FROM pgautofailover.event_facts;
INSERT INTO pgautofailover.event (formationid, groupid, description) VALUES ('heard', 0, 'forged');
UPDATE pgautofailover.event SET description = 'forged';
DELETE FROM pgautofailover.event;
TRUNCATE pgautofailover.event;
SELECT pgautofailover.tell_refusals();
SELECT pgautofailover.prune_events();
RESET ROLE;
