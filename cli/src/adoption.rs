//! `config set pg_autoctl.monitor`: the node goes to another monitor, in its present role, and its server notices nothing.
use crate::context::Context;
use crate::datadir::{self, Running};
use crate::error::{Error, Kind, Result};
use crate::monitor::{Adoption, Monitor};
use crate::postgres::Postgres;
use crate::printer::Progress;
use crate::sql::{self, Failure, Session};
use crate::view::{NodeState, View};
use connection::Address;
use fsm::message::{Receiver, Report};
use fsm::password::Password;
use fsm::rule::{Rule, standby_of};
use fsm::state::State as Role;
use fsm::units::{Lsn, PasswordNumber, RuleNumber, Timeline};
use node_files::{Secrets, State, boots};
use serde_json::json;
use std::time::{Duration, Instant};
use tracing::info;

/// For the keeper to have told the new monitor.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// Registers the node with the monitor that `text` names, then has its keeper go there. Repeating it changes nothing.
pub fn move_to(text: &str, context: &Context, postgres: &Postgres) -> Result<View> {
    let (pgdata, state_dir) = (context.cluster()?, context.state_dir(postgres)?);
    let (address, typed) = Address::parse(text)?;
    let running = datadir::require_running(pgdata)?;
    let own = datadir::connect(&running, "postgres").map_err(refused)?;
    let state = as_it_is(context.node_state(postgres)?, &own)?;
    let before = known_before(context, &state);
    // One that stays leaves no monitor: it is told that the one there, which it did not believe, is its own.
    let stays = context.node_monitor(postgres).is_ok_and(|present| present.place() == address.place());
    let left = before.as_ref().filter(|_| !stays);
    check_settled(&state, left.map(|known| &known.row))?;
    if left.is_some() {
        check_covered(&state)?;
    }

    let mut secrets = Secrets::read(&state_dir)?;
    let kept = secrets.monitor_password.clone();
    let password = typed.or_else(|| address.password_from_environment()).or(kept);
    let monitor = Monitor::open(&address, password.as_deref())?;
    let setting = |key: &str| postgres.setting(pgdata, key).unwrap_or_default();
    // Of the rule in force the writer alone knows, be it that it was restarted since.
    let knows = state.role.writes() || state.role == Role::Demoted;
    let rule = if knows { state.rule.clone() } else { Rule::default() };
    let boot = boots::read(&state_dir, pgdata)?;
    let report = report(&own, &state, &rule, &secrets, boot).map_err(refused)?;
    monitor.adopt_node(&Adoption {
        formation: &state.formation,
        group: state.group,
        name: &setting("pg_autoctl.name"),
        host: &setting("pg_autoctl.hostname"),
        port: running.port,
        database: before.as_ref().map_or("postgres", |known| &known.database),
        candidate_priority: before.as_ref().and_then(|known| known.row.candidate_priority).unwrap_or(100),
        replication_quorum: before.as_ref().and_then(|known| known.row.replication_quorum).unwrap_or(true),
        cluster: before.as_ref().and_then(|known| known.row.nodecluster.as_deref()).unwrap_or("default"),
        report: &report,
        rule: &rule,
    })?;
    if let Some(password) = password
        && secrets.take_monitor_password(Password { number: PasswordNumber(0), text: password })
    {
        secrets.write(&state_dir)?;
    }
    point_to(&own, &address)?;
    wait_for_keeper(&monitor, &running, &state)?;
    let line =
        format!("node {} reports to the monitor at {} now, as {}", state.node, address.place(), state.role);
    let values = [
        ("key", json!("pg_autoctl.monitor")),
        ("value", json!(address.to_string())),
        ("needs_restart", json!(false)),
        ("node_id", json!(state.node.0)),
        ("state", json!(state.role.to_string())),
    ];
    Ok(View::outcome(line, values))
}

/// A server that stands by is no writer, whatever its files say: after a start that no monitor has confirmed.
fn as_it_is(mut state: State, own: &Session) -> Result<State> {
    let stands_by = own.one("SELECT pg_is_in_recovery()", &[], |row| row.try_get(0)).map_err(refused)?;
    if stands_by && (state.role.writes() || matches!(state.role, Role::Draining | Role::PreparePromotion)) {
        state.role = Role::Demoted;
    }
    Ok(state)
}

/// What the monitor before this one knows, and the node does not.
struct Known {
    row: NodeState,
    database: String,
}

fn known_before(context: &Context, state: &State) -> Option<Known> {
    let ask = || -> Result<Option<Known>> {
        let (monitor, _) = context.open_monitor()?;
        let rows = monitor.states(&state.formation, Some(state.group))?;
        let Some(row) = rows.into_iter().find(|row| row.node_id == state.node.0) else { return Ok(None) };
        Ok(Some(Known { row, database: monitor.database(&state.formation)? }))
    };
    let found = match ask() {
        Ok(found) => found,
        Err(error) => {
            info!("{error}");
            None
        }
    };
    if found.is_none() {
        info!(
            "so the priority (100), quorum (true) and database (postgres) are the defaults; change them with pg_autoctl set node"
        );
    }
    found
}

/// In the middle of a change nobody can say which role it is that is to be kept.
fn check_settled(state: &State, row: Option<&NodeState>) -> Result<()> {
    // Where the monitor before is gone, nobody ends the election of a node any more, or tells a restarted primary that it may write.
    let interrupted = row.is_none() && matches!(state.role, Role::Demoted | Role::ReportLsn);
    let here = state.role == state.goal || interrupted;
    let there = row.is_none_or(|row| row.settled() && row.current_group_state == state.role.as_str());
    if here && there {
        return Ok(());
    }
    let goal = row.map_or_else(|| state.goal.to_string(), |row| row.assigned_group_state.clone());
    Err(Error::state(format!("the node is not settled: it is {}, assigned {goal}", state.role)).hint(
        "wait until pg_autoctl show state shows the same state twice, then repeat; nothing was changed",
    ))
}

/// A leased primary whose commits wait for nobody: the monitor it leaves could make one of its standbys the writer when
/// it crashes, and the one it goes to would let it write again.
fn check_covered(state: &State) -> Result<()> {
    if state.role != Role::Primary || !state.rule.is_empty() {
        return Ok(());
    }
    Err(Error::state("no commit waits for a standby, so the monitor before could elect one while this one moves").hint(
        "put its standbys in maintenance (pg_autoctl enable maintenance) or stop that monitor, then repeat; nothing was changed",
    ))
}

/// The node's report, as its keeper would make it.
fn report(
    own: &Session,
    state: &State,
    rule: &Rule,
    secrets: &Secrets,
    boot: u64,
) -> std::result::Result<Report, Failure> {
    let facts = own.one(
        "SELECT pg_is_in_recovery(), (pg_control_checkpoint()).timeline_id, \
                CASE WHEN pg_is_in_recovery() THEN (SELECT received_tli FROM pg_stat_wal_receiver) \
                     ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END, \
                (CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) \
                      ELSE pg_current_wal_flush_lsn() END - '0/0')::bigint, \
                EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'), \
                ARRAY(SELECT application_name FROM pg_stat_replication WHERE state = 'streaming')",
        &[],
        |row| {
            let timeline = |number: i32| Timeline(number.cast_unsigned());
            let (in_recovery, checkpoint, received): (bool, i32, Option<i32>) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let lsn = row.try_get::<_, Option<i64>>(3)?.map(|bytes| Lsn(bytes.cast_unsigned()));
            let receiver = if row.try_get(4)? { Receiver::Streaming } else { Receiver::None };
            let followers = row.try_get::<_, Vec<String>>(5)?;
            Ok((in_recovery, timeline(checkpoint), timeline(received.unwrap_or(checkpoint)), lsn, receiver, followers))
        },
    )?;
    let (in_recovery, checkpoint_timeline, timeline, lsn, receiver, followers) = facts;
    Ok(Report {
        term: state.term,
        pledge: state.pledge,
        history: state.history,
        timeline,
        lsn,
        promotion: state.promotion,
        rule: if state.role.writes() { rule.number } else { RuleNumber(0) },
        checkpoint_timeline,
        receiver,
        followers: followers.iter().filter_map(|name| standby_of(name)).collect(),
        in_recovery,
        fenced: !state.role.writes(),
        boot,
        named: state.named(),
        in_force: Some(rule.clone()),
        epoch: state.monitor_epoch,
        system_identifier: state.system_identifier,
        passwords: secrets.numbers(),
        ..Report::of(state.node, state.role)
    })
}

/// The setting, without a password; the keeper goes there when it has read it.
fn point_to(own: &Session, address: &Address) -> Result<()> {
    let statement = format!("ALTER SYSTEM SET pg_autoctl.monitor = {}", sql::literal(&address.to_string()));
    own.run(&statement).and_then(|()| own.run("SELECT pg_reload_conf()")).map_err(refused)
}

fn wait_for_keeper(monitor: &Monitor, running: &Running, state: &State) -> Result<()> {
    let _progress = Progress::start("waits until its keeper reports there");
    let started = Instant::now();
    while !monitor.hears_keeper_of(state.node)? {
        if started.elapsed() >= PATIENCE {
            return Err(Error::monitor("the keeper has not reported to the new monitor").hint(format!(
                "the log of the server (process {}) says why; it goes on trying, and this command may be repeated",
                running.pid
            )));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn refused(failure: Failure) -> Error {
    Error::new(Kind::Sql, format!("the node's server says: {failure}"))
}
