//! Restarts in place: the same process ID, another role.
use super::{Outcome, Trouble, child, io_trouble};
use crate::tick::Keeper;
use crate::{in_place, pg};
use node_files::{Phase, Restart, WriterToken};
use std::process::Command;
use std::time::Duration;

const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// In recovery: the next life is a standby unless a token says otherwise, so no instruction is needed.
pub async fn as_standby(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    if keeper.facts.in_recovery {
        return Ok(Outcome::Done);
    }
    if keeper.facts.stopping {
        // A smart shutdown would let sessions stay for as long as they like. The operator's stop wins: no restart.
        pg::signal_postmaster(libc::SIGINT).map_err(|error| io_trouble("stop the server", error))?;
        return Ok(Outcome::Later("the server is shutting down".to_owned()));
    }
    WriterToken::revoke(keeper.memory.dir())?;
    in_place(keeper, "standby").await
}

/// Out of recovery on the present timeline, by the monitor's word.
pub async fn as_writer(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    if !keeper.facts.in_recovery {
        return Ok(Outcome::Done);
    }
    if keeper.facts.stopping {
        return Ok(Outcome::Later("the server is shutting down".to_owned()));
    }
    check_configuration().await?;
    WriterToken::grant_next(keeper.memory.dir(), &pg::data_dir(), &keeper.memory.identity)?;
    let asked = ask(keeper, "writer");
    if asked.is_err() {
        WriterToken::revoke(keeper.memory.dir())?;
    }
    asked
}

/// The helper copies before the next life begins.
pub async fn with_copy(keeper: &mut Keeper, phase: &Phase, purpose: &str) -> Result<Outcome, Trouble> {
    if keeper.facts.stopping {
        return Ok(Outcome::Later("the server is shutting down".to_owned()));
    }
    check_configuration().await?;
    phase.write(keeper.memory.dir())?;
    // The next life knows by this, and by the missing marker, that the copy is whole.
    let before = keeper.memory.upstream.clone();
    let upstream = phase.copy.upstream().clone();
    let asked = match keeper.memory.keep(|state| state.upstream = Some(upstream)) {
        Ok(()) => ask(keeper, purpose),
        Err(error) => Err(error),
    };
    if asked.is_err() {
        keeper.memory.keep(|state| state.upstream = before)?;
        Phase::clear(keeper.memory.dir())?;
    }
    asked
}

async fn in_place(keeper: &mut Keeper, purpose: &str) -> Result<Outcome, Trouble> {
    if !keeper.preparation.is_some_and(|preparation| preparation.has_tried_configuration()) {
        check_configuration().await?;
    }
    ask(keeper, purpose)
}

fn ask(keeper: &mut Keeper, purpose: &str) -> Result<Outcome, Trouble> {
    let request = Restart::of(pg::postmaster_pid(), purpose)?;
    pg::log(&format!("restarting in place as {purpose}"));
    in_place::request(&request)
        .map_err(|error| Trouble::new(format!("could not restart the server in place: {error}")))?;
    keeper.restarting = true;
    Ok(Outcome::Restarting)
}

/// A life that cannot start is a dead node, so the configuration is tried before the present one ends.
pub async fn check_configuration() -> Result<(), Trouble> {
    let arguments = std::fs::read(format!("/proc/{}/cmdline", pg::postmaster_pid()))
        .map_err(|e| io_trouble("read the server's arguments", e))?;
    let arguments = arguments.split(|byte| *byte == 0).skip(1).filter(|argument| !argument.is_empty());
    let arguments: Vec<String> =
        arguments.map(|argument| String::from_utf8_lossy(argument).into_owned()).collect();
    let mut command = Command::new(pg::executable());
    command
        .args(arguments)
        // The last ones count; the first may be relative to a directory that we do not know.
        .arg("-D")
        .arg(pg::data_dir())
        .args(["-c", &format!("config_file={}", pg::setting(c"config_file"))])
        .args(["-C", "data_directory"]);
    let Some(output) = child::output(&mut command, "check the configuration", CHECK_LIMIT).await? else {
        return Err(Trouble::new(
            "the check of the configuration does not end; the server was not restarted",
        ));
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or("no reason given");
    Err(Trouble::new(format!(
        "the server would not start with its present configuration ({first}); correct it, then it is restarted"
    )))
}
