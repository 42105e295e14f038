-- The extension's own name cannot be the schema's: PostgreSQL reserves names that begin with pg_.
CREATE SCHEMA autoctl;
COMMENT ON SCHEMA autoctl IS 'What the keeper of this node knows';
GRANT USAGE ON SCHEMA autoctl TO pg_monitor;
