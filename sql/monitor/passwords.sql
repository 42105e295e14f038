-- Not readable by nodes: each gets it in its assignment.
CREATE TABLE pgautofailover.node_password (
    only_row bool   NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    number   bigint NOT NULL,
    password text   NOT NULL,
    in_force bool   NOT NULL DEFAULT false
);
COMMENT ON TABLE pgautofailover.node_password IS 'the password of autoctl_node that the monitor made last';
COMMENT ON COLUMN pgautofailover.node_password.number IS 'tells it from those before it';
COMMENT ON COLUMN pgautofailover.node_password.in_force IS 'the role has it; before that, the nodes are being told';
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.node_password', '');

CREATE FUNCTION pgautofailover.rotate_replication_password(
    formation_id text DEFAULT 'default', group_id int DEFAULT 0) RETURNS bigint
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'rotate_replication_password_wrapper';
COMMENT ON FUNCTION pgautofailover.rotate_replication_password IS 'gives a group a new password for replication; returns its number, at once';
GRANT EXECUTE ON FUNCTION pgautofailover.rotate_replication_password TO autoctl;

CREATE FUNCTION pgautofailover.rotate_node_password() RETURNS bigint
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'rotate_node_password_wrapper';
COMMENT ON FUNCTION pgautofailover.rotate_node_password IS 'hands a new password of autoctl_node to all nodes; returns its number, at once. The old one is good until the rotation is finished';
GRANT EXECUTE ON FUNCTION pgautofailover.rotate_node_password TO autoctl;

CREATE FUNCTION pgautofailover.finish_node_password_rotation(force bool DEFAULT false) RETURNS bool
LANGUAGE c STRICT SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'finish_node_password_rotation_wrapper';
COMMENT ON FUNCTION pgautofailover.finish_node_password_rotation IS 'puts the new password of autoctl_node in force, once all nodes hold it; with force, without those that do not. False when there is none to put in force';
GRANT EXECUTE ON FUNCTION pgautofailover.finish_node_password_rotation TO autoctl;

CREATE FUNCTION pgautofailover.node_password() RETURNS text
LANGUAGE c STRICT SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'node_password_wrapper';
COMMENT ON FUNCTION pgautofailover.node_password IS 'for superusers: the password of autoctl_node in force, when it is one that the monitor made';

CREATE FUNCTION pgautofailover.password_holders(
    OUT formation_id text, OUT group_id int, OUT node_id bigint, OUT node_name text, OUT in_contact bool,
    OUT holds_replication_password bool, OUT holds_node_password bool)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp AS $$
    SELECT n.formationid, n.groupid, n.nodeid, n.nodename, coalesce(n.session = 'Up', false),
           n.replication_password_number = g.replication_password_number,
           n.monitor_password_number = coalesce((SELECT w.number FROM pgautofailover.node_password w), 0)
      FROM pgautofailover.node n JOIN pgautofailover.group_state g USING (groupserial)
     WHERE n.goalstate <> 'dropped'
     ORDER BY n.formationid, n.groupid, n.nodeid
$$;
COMMENT ON FUNCTION pgautofailover.password_holders IS 'which nodes hold the newest passwords; those that are not in contact cannot be told';
GRANT EXECUTE ON FUNCTION pgautofailover.password_holders TO autoctl;
