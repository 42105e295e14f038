//! A checkpoint on the present timeline, made while the ticks go on: it may take as long as it takes.
use super::{Outcome, Trouble};
use crate::local;
use crate::shared::first_write;
use crate::tick::Keeper;
use std::cell::Cell;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Longer than any checkpoint that is asked for explicitly.
const LIMIT: Duration = Duration::from_secs(3600);
/// How long the checkpoint of a new reign makes way for the write that clients wait for; there may be no clients.
const FIRST_WRITE: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The one place where checkpoints are asked for. Polled beside the ticks.
#[derive(Default)]
pub struct Checkpointer {
    wanted: Notify,
    busy: Cell<bool>,
}

impl Checkpointer {
    /// Asks for one, unless one is being made.
    pub fn ask(&self) {
        if !self.busy.replace(true) {
            self.wanted.notify_one();
        }
    }

    /// One is being made.
    pub fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// Serves requests for as long as it is polled; rings `done` after each.
    pub async fn serve(&self, done: &Notify) {
        loop {
            self.wanted.notified().await;
            // Both would wait for the same disk, and a write for both.
            let _ = timeout(FIRST_WRITE, async {
                while first_write::is_awaited() {
                    sleep(LOOK_EVERY).await;
                }
            })
            .await;
            if let Err(error) = make().await {
                crate::pg::log(&format!("could not make a checkpoint, it will be tried again: {error}"));
                sleep(Duration::from_secs(1)).await;
            }
            self.busy.set(false);
            done.notify_one();
        }
    }
}

async fn make() -> Result<(), crate::session::SqlError> {
    let mut session = local::open().await?;
    session.ask(LIMIT, async |client| client.batch_execute("CHECKPOINT").await).await
}

/// Asks for one unless the last one was made on this timeline already.
pub fn ask(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    if keeper.facts.checkpoint_timeline != keeper.facts.timeline {
        keeper.checkpointer.ask();
    }
    Ok(Outcome::Done)
}
