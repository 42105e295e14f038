-- One row a term that an election opened. One that was replaced by a later term has no promotion.
CREATE TABLE pgautofailover.failover (
    groupserial int         NOT NULL REFERENCES pgautofailover.group_state ON DELETE CASCADE,
    term        bigint      NOT NULL,
    cause       text        NOT NULL,
    old_writer  bigint,
    winner      bigint,
    suspected   timestamptz NOT NULL,
    convicted   timestamptz NOT NULL,
    pledged     timestamptz,
    promoted    timestamptz,
    first_write timestamptz,
    PRIMARY KEY (groupserial, term)
);
CREATE INDEX ON pgautofailover.failover (convicted);
COMMENT ON TABLE pgautofailover.failover IS 'every failover and switchover, and when it reached which phase, by the monitor''s clock';
COMMENT ON COLUMN pgautofailover.failover.cause IS 'the rule that opened the term, or "forced promotion" when an operator did';
COMMENT ON COLUMN pgautofailover.failover.old_writer IS 'the primary before; null when none is known';
COMMENT ON COLUMN pgautofailover.failover.winner IS 'the node that was elected';
COMMENT ON COLUMN pgautofailover.failover.suspected IS 'the first sign: the end of the primary''s session, a refused probe, its last report before it fell silent, or the request for a switchover';
COMMENT ON COLUMN pgautofailover.failover.convicted IS 'the term was opened: the old primary is given no lease any more';
COMMENT ON COLUMN pgautofailover.failover.pledged IS 'enough nodes had pledged, and the winner was named';
COMMENT ON COLUMN pgautofailover.failover.promoted IS 'the winner had promoted and was recorded; null when a later term took this one''s place';
COMMENT ON COLUMN pgautofailover.failover.first_write IS 'the first commit that the new primary acknowledged; null until there was one';
SELECT pg_catalog.pg_extension_config_dump('pgautofailover.failover', '');
GRANT SELECT ON pgautofailover.failover TO autoctl_node;
