//! The receiver while it has nothing to receive: kept from crying, or cried for.
use super::{Again, Keeper};
use crate::act::{self, Trouble};
use crate::shared::gate;
use fsm::message::Receiver;
use std::time::Duration;
use tokio::time::Instant;

/// A standby that streams nothing for longer than this says so.
const STARVED: Duration = Duration::from_secs(30);

impl Keeper {
    /// Behind a closed gate a receiver can only fail, with a line in the log each time. A state just reached is told first.
    pub(super) async fn quieten_receiver(&mut self, again: Again) -> Result<(), Trouble> {
        if again != Again::Now && self.facts.in_recovery && !self.restarting && !gate::is_open() {
            act::cut_off(self).await?;
        }
        Ok(())
    }

    /// Whether the upstream still has the WAL that this node needs is known to the receiver alone, which can only log it.
    pub(super) fn check_supply(&mut self) -> Result<(), Trouble> {
        let upstream =
            self.told.as_ref().filter(|told| told.goal.follows()).and_then(|told| told.upstream.as_ref());
        let starving =
            self.waits.is_none() && self.facts.in_recovery && self.facts.receiver != Receiver::Streaming;
        let Some(upstream) = upstream.filter(|_| starving) else {
            self.starving_since = None;
            return Ok(());
        };
        if self.starving_since.get_or_insert_with(Instant::now).elapsed() < STARVED {
            return Ok(());
        }
        Err(Trouble::new(format!(
            "nothing was streamed from node {} for {} s; see this server's log. If that says that a WAL segment has been removed, \
             drop this node with \"pg_autoctl drop node\" and create it anew",
            upstream.peer.node,
            STARVED.as_secs()
        )))
    }
}
