//! What is done ahead of a hand-over while the clients still write, so that it is not done while they wait.
use super::{Outcome, Trouble, restart};
use crate::pg;
use crate::shared::fence;
use crate::tick::Keeper;
use std::time::Duration;
use tokio::time::Instant;

/// No longer, however much the checkpoint has to write: the monitor has stopped to renew the lease. What was written by then, the
/// checkpoint of the shutdown has not to write again.
const LIMIT: Duration = Duration::from_millis(1500);

/// A hand-over that is being prepared.
#[derive(Clone, Copy, Debug)]
pub struct Preparation {
    since: Instant,
    configuration_tried: bool,
}

impl Preparation {
    /// The configuration was found to be good a moment ago.
    pub fn has_tried_configuration(&self) -> bool {
        self.configuration_tried && self.since.elapsed() < 2 * LIMIT
    }
}

/// The configuration that the server is to start with is tried, and a checkpoint is made. It ends early when the fence comes up by
/// itself; nothing is lost with what is not done by then.
pub async fn prepare(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    if keeper.facts.in_recovery || keeper.facts.stopping || fence::is_up() {
        return Ok(Outcome::Done);
    }
    let Some(begun) = keeper.preparation else {
        keeper.checkpointer.ask();
        let since = Instant::now();
        let tried = restart::check_configuration().await;
        if let Err(error) = &tried {
            pg::log(&error.why);
        }
        keeper.preparation = Some(Preparation { since, configuration_tried: tried.is_ok() });
        return Ok(Outcome::Soon(MAKING.to_owned()));
    };
    if keeper.checkpointer.is_busy() && begun.since.elapsed() < LIMIT {
        return Ok(Outcome::Soon(MAKING.to_owned()));
    }
    Ok(Outcome::Done)
}

const MAKING: &str = "a checkpoint is made before the fence goes up";
