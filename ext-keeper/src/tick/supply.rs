//! The receiver while it has nothing to receive: kept from crying, or cried for.
use super::{Again, Keeper};
use crate::act::upstream_wal::Need;
use crate::act::{self, Trouble};
use crate::pg;
use crate::shared::gate;
use fsm::message::Receiver;
use fsm::supply::may_be_copied;
use fsm::units::Lsn;
use std::time::Duration;
use tokio::time::Instant;

/// Longer than most elections take.
const ELECTION: Duration = Duration::from_secs(1);
/// Time for several attempts of a receiver, none of which got any WAL.
const HUNGRY: Duration = Duration::from_secs(6);
/// A standby that streams nothing for longer than this says so. And one that may get WAL from an archive has had the time to.
const STARVED: Duration = Duration::from_secs(30);

/// How long the WAL of a standby has not grown although it should follow somebody.
pub struct Hunger {
    /// Where its WAL ends.
    end: Option<Lsn>,
    /// Since when it is neither growing nor fed.
    since: Instant,
}

impl Keeper {
    /// Behind a closed gate a receiver can only fail, with a line in the log each time. A state just reached is told first, and
    /// most elections are over before a winner or a follower would have to wait for this.
    pub(super) async fn quieten_receiver(&mut self, again: Again) -> Result<(), Trouble> {
        let is_early = self.pledged_at.elapsed() < ELECTION;
        let is_cut_off = !gate::is_open() && !gate::lets_approach();
        if again != Again::Now && !is_early && self.facts.in_recovery && !self.restarting && is_cut_off {
            act::cut_off(self).await?;
        }
        Ok(())
    }

    /// Has the upstream asked whether it still has the WAL that this node needs, when nothing is streamed from it.
    pub(super) async fn check_supply(&mut self) -> Result<(), Trouble> {
        let upstream =
            self.told.as_ref().filter(|told| told.goal.follows()).and_then(|told| told.upstream.clone());
        let Some(upstream) = upstream.filter(|_| self.facts.in_recovery && !self.restarting) else {
            self.hunger = None;
            self.upstream_wal.want(None);
            return Ok(());
        };
        if self.waits.is_some() {
            return Ok(());
        }
        let hungry_for = self.hungry_for();
        let has_archive = !pg::setting(c"restore_command").is_empty();
        if hungry_for < if has_archive { STARVED } else { HUNGRY } {
            self.upstream_wal.want(None);
            return Ok(());
        }
        // Nothing while the replay has not read all that is here: only its end is what the upstream must have.
        let end = self.wal_end.find(&mut self.local).await?.map(|(end, _)| end);
        self.upstream_wal.want(end.map(|end| Need { upstream: upstream.peer.clone(), end }));
        let may_be_copied = self.told.as_ref().is_some_and(|told| may_be_copied(told.goal));
        if let Some(need) = self.upstream_wal.gone_from(&upstream.peer).filter(|_| !may_be_copied) {
            return Err(Trouble::new(format!(
                "{need}; this node is copied anew as soon as no commit waits for it"
            )));
        }
        if hungry_for < STARVED {
            return Ok(());
        }
        Err(Trouble::new(format!(
            "nothing was streamed from node {} for {} s; see the log of this server and of that one",
            upstream.peer.node,
            STARVED.as_secs()
        )))
    }

    fn hungry_for(&mut self) -> Duration {
        let (now, end) = (Instant::now(), self.facts.end);
        let before = self.hunger.take().filter(|before| before.end == end);
        let is_fed = self.facts.receiver == Receiver::Streaming;
        let since = before.filter(|_| !is_fed).map_or(now, |before| before.since);
        self.hunger = Some(Hunger { end, since });
        now - since
    }
}
