//! What a node knows of itself, for when the monitor cannot be asked: from its server, else from its files.
use crate::context::Context;
use crate::datadir::{self, Running};
use crate::error::Result;
use crate::postgres::Postgres;
use crate::sql::Failure;
use crate::view::{NodeState, Source};

/// The row that the monitor would show, as far as the node alone knows it.
pub fn of(context: &Context, postgres: &Postgres) -> Result<NodeState> {
    let pgdata = context.cluster()?;
    let state = context.node_state(postgres)?;
    let running = datadir::running(pgdata);
    let setting = |key: &str| postgres.setting(pgdata, key).unwrap_or_default();
    let port = running.as_ref().map_or_else(|| setting("port"), |running| running.port.to_string());
    let mut node = NodeState {
        formation: state.formation.clone(),
        formation_kind: "pgsql".to_owned(),
        nodename: setting("pg_autoctl.name"),
        nodehost: setting("pg_autoctl.hostname"),
        nodeport: port.parse().unwrap_or_default(),
        group_id: state.group,
        node_id: state.node.0,
        current_group_state: state.role.to_string(),
        assigned_group_state: state.goal.to_string(),
        candidate_priority: None,
        replication_quorum: None,
        reported_tli: postgres.control(pgdata)?.timeline.0.cast_signed(),
        reported_lsn: "0/0".to_owned(),
        health: 0,
        nodecluster: None,
        note: None,
        group_waits_for: None,
        group_wait_ends_by: None,
        group_patience: None,
        fenced: None,
        source: Some(Source::Local),
    };
    match running {
        None => node.note = Some("its server does not run".to_owned()),
        Some(running) => {
            if let Err(failure) = ask(&running, &mut node) {
                node.note = Some(format!("its server does not answer: {failure}"));
            }
        }
    }
    Ok(node)
}

/// What the running server says is newer than what stands on the disk.
fn ask(running: &Running, node: &mut NodeState) -> std::result::Result<(), Failure> {
    let session = datadir::connect(running, "postgres")?;
    let (timeline, lsn) = session.one(
        "SELECT (pg_control_checkpoint()).timeline_id, CASE WHEN pg_is_in_recovery() \
         THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_flush_lsn() END::text",
        &[],
        |row| Ok((row.try_get(0)?, row.try_get::<_, Option<String>>(1)?)),
    )?;
    node.health = 1;
    node.reported_tli = timeline;
    if let Some(lsn) = lsn {
        node.reported_lsn = lsn;
    }
    // The extension shows what the keeper knows; whether it was created is the operator's choice.
    if session.query("SELECT 1 FROM pg_extension WHERE extname = 'pg_autoctl'", &[])?.is_empty() {
        return Ok(());
    }
    let rows = session.query("SELECT role, goal, fence = 'lapsed', last_error FROM autoctl.state", &[])?;
    if let Some(row) = rows.first() {
        let (role, goal): (Option<String>, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
        if let (Some(role), Some(goal)) = (role, goal) {
            (node.current_group_state, node.assigned_group_state) = (role, goal);
        }
        (node.fenced, node.note) = (row.try_get(2)?, row.try_get(3)?);
    }
    Ok(())
}
