CREATE FUNCTION autoctl.keeper_state(
    OUT node bigint, OUT role text, OUT goal text, OUT term bigint, OUT fence text, OUT lease_left double precision,
    OUT contact_age double precision, OUT last_error text, OUT boot bigint, OUT receiving boolean)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'keeper_state_wrapper';
COMMENT ON FUNCTION autoctl.keeper_state() IS 'The row of autoctl.state, with durations in seconds';
REVOKE ALL ON FUNCTION autoctl.keeper_state() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION autoctl.keeper_state() TO pg_monitor;

CREATE VIEW autoctl.state AS
SELECT node,
       role,
       goal,
       term,
       fence,
       pg_catalog.make_interval(secs => lease_left) AS lease_left,
       pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => contact_age) AS last_monitor_contact,
       last_error,
       receiving,
       boot
  FROM autoctl.keeper_state();
COMMENT ON VIEW autoctl.state IS 'What the keeper of this node knows. No node: this server is not enrolled';
COMMENT ON COLUMN autoctl.state.role IS 'The state that this node has reached';
COMMENT ON COLUMN autoctl.state.goal IS 'The state that the monitor assigned';
COMMENT ON COLUMN autoctl.state.fence IS 'unleased: commits need no lease; leased: while it runs; lapsed: nothing commits';
COMMENT ON COLUMN autoctl.state.receiving IS 'WAL is streamed from an upstream now';
COMMENT ON COLUMN autoctl.state.boot IS 'How often this node was started; crash recoveries count';
GRANT SELECT ON autoctl.state TO pg_monitor;
