-- The states of a node, as it reports them and as the monitor assigns them. Names and order are pg_auto_failover's.
CREATE TYPE pgautofailover.replication_state AS ENUM (
    'unknown', 'init', 'single', 'wait_primary', 'primary', 'draining', 'demote_timeout', 'demoted', 'catchingup',
    'secondary', 'prepare_promotion', 'stop_replication', 'wait_standby', 'maintenance', 'join_primary',
    'apply_settings', 'prepare_maintenance', 'wait_maintenance', 'report_lsn', 'fast_forward', 'join_secondary',
    'dropped');
COMMENT ON TYPE pgautofailover.replication_state IS 'state of a node, reported or assigned';
