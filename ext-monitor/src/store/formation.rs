//! The table `formation`.
use super::{fetch, write, write_and_fetch};
use crate::error::Error;
use fsm::units::NodeId;
use pgrx::JsonB;
use serde::{Deserialize, Serialize};

/// What is set for a formation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formation {
    /// The database that its clients want.
    pub database: String,
    /// Its groups may have more than one node.
    pub has_secondaries: bool,
    /// How many standbys a commit waits for, at the least.
    pub number_sync_standbys: u32,
}

/// Reads a formation. Nobody else changes it, drops it, or takes a node into it while this transaction runs.
pub fn hold(formation: &str) -> Result<Formation, Error> {
    write(
        "SELECT 1 FROM pgautofailover.formation WHERE formationid = $1 FOR NO KEY UPDATE",
        &[formation.into()],
    )?;
    let found: Option<JsonB> = fetch(
        "SELECT jsonb_build_object('database', dbname, 'has_secondaries', opt_secondary,
                                   'number_sync_standbys', number_sync_standbys)
           FROM pgautofailover.formation WHERE formationid = $1",
        &[formation.into()],
    )?;
    let JsonB(found) = found.ok_or_else(|| Error::UnknownFormation(formation.to_owned()))?;
    Ok(serde_json::from_value(found)?)
}

/// Makes a formation. False: there is one of that name.
pub fn create(name: &str, formation: &Formation) -> Result<bool, Error> {
    let made: Option<i64> = write_and_fetch(
        "WITH made AS (
           INSERT INTO pgautofailover.formation (formationid) VALUES ($1)
           ON CONFLICT (formationid) DO NOTHING RETURNING 1)
         SELECT pg_catalog.count(*) FROM made",
        &[name.into()],
    )?;
    let made = made == Some(1);
    if made {
        set(name, formation)?;
    }
    Ok(made)
}

/// Writes down what is set for a formation.
pub fn set(name: &str, formation: &Formation) -> Result<(), Error> {
    write(
        "UPDATE pgautofailover.formation f
            SET dbname = x.database, opt_secondary = x.has_secondaries, number_sync_standbys = x.number_sync_standbys
           FROM pg_catalog.jsonb_to_record($2) AS x(database text, has_secondaries bool, number_sync_standbys int)
          WHERE f.formationid = $1",
        &[name.into(), JsonB(serde_json::to_value(formation)?).into()],
    )
}

/// Forgets a formation that is held and has no nodes, with the history of its groups.
pub fn drop(name: &str) -> Result<(), Error> {
    write("DELETE FROM pgautofailover.group_state WHERE formationid = $1", &[name.into()])?;
    write("DELETE FROM pgautofailover.formation WHERE formationid = $1", &[name.into()])
}

/// How many nodes the group has that has most of them.
pub fn largest_group(formation: &str) -> Result<i64, Error> {
    let found = fetch(
        "SELECT coalesce(pg_catalog.max(g.nodes), 0)
           FROM (SELECT pg_catalog.count(*) AS nodes FROM pgautofailover.node_state
                  WHERE formationid = $1 GROUP BY groupid) AS g",
        &[formation.into()],
    )?;
    Ok(found.unwrap_or_default())
}

/// The formation of a node.
pub fn of_node(id: NodeId) -> Result<String, Error> {
    let found = fetch("SELECT formationid FROM pgautofailover.node_state WHERE nodeid = $1", &[id.0.into()])?;
    found.ok_or(Error::UnknownNode(id))
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
