-- Rows change when something was decided or a state was reported, never with each heartbeat: where WAL ends, and
-- whether a node is well, is on the board, and the view "node" joins it.
CREATE SEQUENCE pgautofailover.node_nodeid_seq;
COMMENT ON SEQUENCE pgautofailover.node_nodeid_seq IS 'node ids; none is ever given twice';
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.node_nodeid_seq', '');

CREATE TABLE pgautofailover.node_state (
    formationid         text   NOT NULL REFERENCES pgautofailover.formation,
    nodeid              bigint NOT NULL PRIMARY KEY,
    groupid             int    NOT NULL,
    nodename            text   NOT NULL,
    nodehost            text   NOT NULL,
    nodeport            int    NOT NULL CHECK (nodeport BETWEEN 1 AND 65535),
    sysidentifier       bigint NOT NULL DEFAULT 0,
    goalstate           pgautofailover.replication_state NOT NULL DEFAULT 'init',
    reportedstate       pgautofailover.replication_state NOT NULL DEFAULT 'init',
    reportedpgisrunning bool   NOT NULL DEFAULT true,
    reportedrepstate    text   NOT NULL DEFAULT '',
    reporttime          timestamptz NOT NULL DEFAULT pg_catalog.now(),
    reportedtli         int    NOT NULL DEFAULT 0,
    reportedlsn         pg_lsn,
    walreporttime       timestamptz NOT NULL DEFAULT pg_catalog.now(),
    statechangetime     timestamptz NOT NULL DEFAULT pg_catalog.now(),
    candidatepriority   int    NOT NULL DEFAULT 100 CHECK (candidatepriority BETWEEN 0 AND 100),
    replicationquorum   bool   NOT NULL DEFAULT true,
    nodecluster         text   NOT NULL DEFAULT 'default',
    groupserial         int    NOT NULL REFERENCES pgautofailover.group_state,
    wish                pgautofailover.replication_state,
    term                bigint NOT NULL DEFAULT 0,
    pledge              bigint NOT NULL DEFAULT 0,
    history             bigint NOT NULL DEFAULT 0,
    promotion           jsonb,
    rule_number         bigint NOT NULL DEFAULT 0,
    in_force            jsonb  NOT NULL DEFAULT '{"number": 0, "wait_for": 0, "members": []}',
    checkpoint_tli      int    NOT NULL DEFAULT 0,
    in_recovery         bool   NOT NULL DEFAULT false,
    fenced              bool   NOT NULL DEFAULT false,
    leaving             bool   NOT NULL DEFAULT false,
    stuck               bool   NOT NULL DEFAULT false,
    receiver            text   NOT NULL DEFAULT 'none',
    followers           jsonb  NOT NULL DEFAULT '[]',
    boot                bigint NOT NULL DEFAULT 0,
    life                bigint NOT NULL DEFAULT 0,
    old_image           jsonb,
    note                text,
    replication_password_number bigint NOT NULL DEFAULT 0,
    monitor_password_number     bigint NOT NULL DEFAULT 0,
    UNIQUE (formationid, nodename),
    UNIQUE (nodehost, nodeport)
);
CREATE INDEX ON pgautofailover.node_state (groupserial);
COMMENT ON TABLE pgautofailover.node_state IS 'what is stored of each node; the view "node" adds what is known for the moment';
COMMENT ON COLUMN pgautofailover.node_state.wish IS 'the goal that an operator has asked for and that an election came in between of';
COMMENT ON COLUMN pgautofailover.node_state.term IS 'the highest term that the node has heard of';
COMMENT ON COLUMN pgautofailover.node_state.pledge IS 'the highest term that the node has pledged to';
COMMENT ON COLUMN pgautofailover.node_state.history IS 'the recorded term whose history its WAL follows';
COMMENT ON COLUMN pgautofailover.node_state.promotion IS 'the promotion that it made last';
COMMENT ON COLUMN pgautofailover.node_state.rule_number IS 'the rule in force on it';
COMMENT ON COLUMN pgautofailover.node_state.in_force IS 'the same in full, or the one it had when it wrote last';
COMMENT ON COLUMN pgautofailover.node_state.checkpoint_tli IS 'timeline of its last checkpoint, the one that pg_rewind reads';
COMMENT ON COLUMN pgautofailover.node_state.fenced IS 'nothing commits there';
COMMENT ON COLUMN pgautofailover.node_state.leaving IS 'it said goodbye';
COMMENT ON COLUMN pgautofailover.node_state.stuck IS 'its keeper says that its server does not answer new connections';
COMMENT ON COLUMN pgautofailover.node_state.receiver IS 'its WAL receiver: none, streaming or lost';
COMMENT ON COLUMN pgautofailover.node_state.followers IS 'of a writer: the nodes that stream from it';
COMMENT ON COLUMN pgautofailover.node_state.boot IS 'the highest boot counter that it has reported';
COMMENT ON COLUMN pgautofailover.node_state.life IS 'the random number of that start; 0: not known';
COMMENT ON COLUMN pgautofailover.node_state.old_image IS 'it runs on a disk of an earlier time: in which start that was found out, and the highest rule number by then';
COMMENT ON COLUMN pgautofailover.node_state.note IS 'what it waits for, or what went wrong last';
COMMENT ON COLUMN pgautofailover.node_state.replication_password_number IS 'the password of its group that it holds; 0: none';
COMMENT ON COLUMN pgautofailover.node_state.monitor_password_number IS 'the password of autoctl_node that it holds; 0: one that somebody typed';
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.node_state', '');
GRANT SELECT ON pgautofailover.node_state TO autoctl_node;

CREATE FUNCTION pgautofailover.live() RETURNS jsonb
LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pgautofailover, pg_temp
AS 'MODULE_PATHNAME', 'live_wrapper';
COMMENT ON FUNCTION pgautofailover.live IS 'what is known of every node for the moment, from shared memory';
GRANT EXECUTE ON FUNCTION pgautofailover.live TO autoctl_node;

CREATE VIEW pgautofailover.node AS
SELECT n.formationid, n.nodeid, n.groupid, n.nodename, n.nodehost, n.nodeport, n.sysidentifier, n.goalstate,
       n.reportedstate, n.reportedpgisrunning, n.reportedrepstate,
       coalesce(pg_catalog.clock_timestamp() - live.reported_ms_ago * interval '1 ms', n.reporttime) AS reporttime,
       n.reportedtli, coalesce(live.lsn, n.reportedlsn, '0/0') AS reportedlsn,
       coalesce(pg_catalog.clock_timestamp() - live.reported_ms_ago * interval '1 ms', n.walreporttime) AS walreporttime,
       coalesce(live.health, -1) AS health,
       pg_catalog.clock_timestamp() - live.probed_ms_ago * interval '1 ms' AS healthchecktime,
       n.statechangetime, n.candidatepriority, n.replicationquorum, n.nodecluster,
       n.groupserial, n.wish, n.term, n.pledge, n.history, n.promotion, n.rule_number, n.checkpoint_tli, n.in_recovery,
       n.fenced, n.leaving, n.stuck, n.receiver, n.followers, n.boot, n.old_image IS NOT NULL AS is_old_image,
       coalesce(live.note, n.note) AS note, live.session, live.probe,
       n.replication_password_number, n.monitor_password_number
  FROM pgautofailover.node_state n
  LEFT JOIN pg_catalog.jsonb_to_recordset(pgautofailover.live())
       AS live(nodeid bigint, health int, lsn pg_lsn, reported_ms_ago bigint, probed_ms_ago bigint, session text,
               probe text, note text) USING (nodeid);
COMMENT ON VIEW pgautofailover.node IS 'every node: what is stored of it, and its health and LSN at this moment';
GRANT SELECT ON pgautofailover.node TO autoctl_node;
