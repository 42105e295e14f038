-- Roles belong to the whole server and outlive the extension, so they may be here already. They have no password:
-- who may log in, and how, is for pg_hba.conf and ALTER ROLE.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'autoctl_node') THEN
        CREATE ROLE autoctl_node LOGIN;
        COMMENT ON ROLE autoctl_node IS 'pg_auto_failover: nodes and the tools that may change a formation';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'autoctl') THEN
        CREATE ROLE autoctl LOGIN;
        COMMENT ON ROLE autoctl IS 'pg_auto_failover: operators';
    END IF;
END
$$;
GRANT autoctl_node TO autoctl;
-- A group under evaluation belongs to one transaction: none may be left open, or no heartbeat is answered.
ALTER ROLE autoctl_node SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE autoctl SET idle_in_transaction_session_timeout = '10s';
GRANT USAGE ON SCHEMA pgautofailover TO autoctl_node;
