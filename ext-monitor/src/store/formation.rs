//! The table `formation`.
use super::{fetch, write};
use crate::error::Error;

/// Whether the formation has secondaries. Nobody else changes it, drops it, or takes a node into it while this transaction runs.
pub fn hold(formation: &str) -> Result<bool, Error> {
    write(
        "SELECT 1 FROM pgautofailover.formation WHERE formationid = $1 FOR NO KEY UPDATE",
        &[formation.into()],
    )?;
    let found = fetch(
        "SELECT opt_secondary FROM pgautofailover.formation WHERE formationid = $1",
        &[formation.into()],
    )?;
    found.ok_or_else(|| Error::UnknownFormation(formation.to_owned()))
}

/// The first node of a formation, at this address, says which database its clients want; 'postgres' is what nobody asked for.
pub fn name_database(formation: &str, database: &str, host: &str, port: u16) -> Result<(), Error> {
    if ["", "postgres"].contains(&database) {
        return Ok(());
    }
    write(
        "UPDATE pgautofailover.formation f SET dbname = $2
          WHERE f.formationid = $1 AND f.dbname <> $2
            AND NOT EXISTS (SELECT FROM pgautofailover.node_state n
                             WHERE n.formationid = $1 AND (n.nodehost, n.nodeport) <> ($3, $4))",
        &[formation.into(), database.into(), host.into(), i32::from(port).into()],
    )
}

/// The group for a node at this address that asks for none: its own, when it is here already; the first one; or, in a
/// formation without secondaries, the first that is empty.
pub fn group_for(formation: &str, host: &str, port: u16) -> Result<i32, Error> {
    let found = fetch(
        "SELECT coalesce(
           (SELECT n.groupid FROM pgautofailover.node_state n
             WHERE n.formationid = f.formationid AND n.nodehost = $2 AND n.nodeport = $3),
           CASE WHEN f.opt_secondary THEN 0 ELSE
             (SELECT pg_catalog.min(free.groupid)::int
                FROM pg_catalog.generate_series(0, (SELECT pg_catalog.count(*) FROM pgautofailover.group_state g
                                                     WHERE g.formationid = f.formationid)) AS free(groupid)
               WHERE NOT EXISTS (SELECT FROM pgautofailover.node_state n
                                  WHERE n.formationid = f.formationid AND n.groupid = free.groupid)) END)
           FROM pgautofailover.formation f WHERE f.formationid = $1",
        &[formation.into(), host.into(), i32::from(port).into()],
    )?;
    found.ok_or_else(|| Error::UnknownFormation(formation.to_owned()))
}
