//! `perform start-without-monitor`: a site came back before its monitor, and its operator has the last primary write.
use crate::context::{Context, Part};
use crate::datadir;
use crate::error::{Error, Kind, Result};
use crate::printer::Progress;
use crate::view::View;
use fsm::state::State as Role;
use node_files::{StartAlone, State, StateDir};
use serde_json::json;
use std::time::{Duration, Instant};

/// Options of `perform start-without-monitor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Give up what another node may have written since; without it the command says what is known
    #[arg(long)]
    accept_data_loss: bool,
}

/// For the keeper to notice that nobody answers, and for a restart in place.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Leaves the word for the keeper, and waits until the node writes.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let postgres = context.postgres()?;
    let pgdata = context.cluster()?;
    if context.part(&postgres)? == Part::Monitor {
        return Err(Error::arguments("the data directory is the monitor's")
            .hint("start it: pg_ctl start; the nodes find it by themselves"));
    }
    let state = context.node_state(&postgres)?;
    let values = [("node_id", json!(state.node.0)), ("pgdata", json!(pgdata))];
    let running = datadir::running(pgdata);
    if state.role.unleased() && running.is_some() {
        return Ok(View::outcome(format!("node {} writes alone already", state.node), values));
    }
    match context.open_monitor() {
        Ok(_) => {
            return Err(Error::state("the monitor answers, so it decides who writes")
                .hint("see pg_autoctl show state; pg_autoctl perform force-promotion is for primaries that are gone"));
        }
        Err(error) if error.kind == Kind::Monitor => {}
        Err(error) => return Err(error),
    }
    if !state.goal.writes() {
        return Err(Error::state(format!(
            "node {} was not the primary when it last heard from its monitor",
            state.node
        ))
        .hint("run this on the node that was; start the monitor, or make another one, for anything else"));
    }
    if !args.accept_data_loss {
        return Err(Error::state(what_is_known(&state)).hint(
            "stop the other nodes of the group first when in doubt; then repeat this with --accept-data-loss",
        ));
    }
    let state_dir = context.state_dir(&postgres)?;
    StartAlone::ask(&state_dir, &state.identity)?;
    if running.is_none() {
        let line = format!(
            "node {} will write once its server is started and the monitor does not answer: pg_ctl start -D {}",
            state.node,
            pgdata.display()
        );
        return Ok(View::outcome(line, values));
    }
    wait(&state_dir)?;
    Ok(View::outcome(format!("node {} writes alone", state.node), values))
}

/// What may be lost, as far as this node alone can tell.
fn what_is_known(state: &State) -> String {
    let waited = if state.rule.is_empty() {
        "its commits waited for nobody".to_owned()
    } else {
        let members: Vec<String> = state.rule.members.iter().map(ToString::to_string).collect();
        format!("its commits waited for {} of nodes {}", state.rule.wait_for, members.join(", "))
    };
    format!(
        "node {} was the primary of term {} when it last heard from its monitor, and {waited}. Nothing that it acknowledged is lost by \
         starting it. Had another node been promoted since, both would write, and what one of them has written would be taken back",
        state.node, state.term
    )
}

fn wait(state_dir: &StateDir) -> Result<()> {
    let progress = Progress::start("waits until the keeper has found that no monitor answers");
    let started = Instant::now();
    let mut role: Option<Role> = None;
    while started.elapsed() < PATIENCE {
        let now = State::read(state_dir)?.role;
        if now.unleased() {
            return Ok(());
        }
        if role.replace(now) != Some(now) {
            progress.line(&format!("its state is {now}"));
        }
        std::thread::sleep(LOOK);
    }
    Err(Error::state("the node does not write yet")
        .hint("its log says why; the word stands until it is carried out, or until a monitor answers"))
}
