//! Programs that the keeper asks something, without waiting for them longer than it can.
use super::{Trouble, io_trouble};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What became of the program, and what it said; it says no more than fits into a pipe. `Ok(None)`: it took longer than `limit`.
pub async fn output(command: &mut Command, doing: &str, limit: Duration) -> Result<Option<Output>, Trouble> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| io_trouble(doing, error))?;
    let mut waited = Duration::ZERO;
    while child.try_wait().map_err(|error| io_trouble(doing, error))?.is_none() {
        if waited >= limit {
            // Not waited for again: it is ours to end and init's to bury.
            child.kill().map_err(|error| io_trouble(doing, error))?;
            return Ok(None);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
    // It has ended, so this does not wait.
    child.wait_with_output().map(Some).map_err(|error| io_trouble(doing, error))
}
