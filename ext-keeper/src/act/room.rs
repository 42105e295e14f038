//! Whether there is room for a copy: found out while the server still runs, for the helper could only wait for it with the server down.
use super::{Trouble, child};
use crate::tick::Keeper;
use crate::{gucs, pg};
use node_files::Copy;
use std::process::Command;
use std::time::Duration;
use tokio::time::Instant;

/// The size of a large directory is not asked for more often.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Heartbeats wait for the answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What was in the way of a copy, and when that was seen.
pub struct InTheWay {
    why: String,
    seen: Instant,
}

/// What is in the way of that copy, in a sentence; nothing when it can be made.
pub async fn in_the_way(keeper: &mut Keeper, copy: &Copy) -> Result<Option<String>, Trouble> {
    if let Some(known) = keeper.in_the_way.as_ref().filter(|known| known.seen.elapsed() < LOOK_AGAIN) {
        return Ok(Some(known.why.clone()));
    }
    let why = ask(copy).await?;
    keeper.in_the_way = why.clone().map(|why| InTheWay { why, seen: Instant::now() });
    Ok(why)
}

async fn ask(copy: &Copy) -> Result<Option<String>, Trouble> {
    const DOING: &str = "find out whether there is room for a copy";
    let mut command = Command::new(gucs::helper());
    command.args(["internal", "room", "--pgdata"]).arg(pg::data_dir());
    command.arg("--state-dir").arg(gucs::state_dir());
    command.arg("--postgres").arg(pg::executable()).arg("--");
    match copy {
        Copy::Rewind { upstream } => command.arg("rewind").arg(upstream.fork.unwrap_or_default().to_string()),
        Copy::Clone { .. } => command.arg("clone"),
    };
    // A directory that takes longer is not held up by that: the helper looks once more.
    let Some(output) = child::output(&mut command, DOING, LIMIT).await? else { return Ok(None) };
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => Ok(None),
        Some(1) if !said.is_empty() => Ok(Some(said.trim().to_owned())),
        _ => Err(Trouble::new(format!(
            "could not {DOING}: \"{}\" does not tell; is it of this version?",
            gucs::helper().display()
        ))),
    }
}
