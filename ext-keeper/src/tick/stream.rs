//! Whether a receiver that streams gets anything. One that cannot write what it gets, or asks for WAL that is gone, streams for a moment
//! at every attempt: told as it is, the monitor would see a member come back all the time, and commits would wait for it for ever.
use super::{FED, Facts};
use crate::shared::receiver;
use fsm::message::Receiver;
use fsm::units::Lsn;
use tokio::time::Instant;

/// The receiver of this life, and what became of those before it.
#[derive(Default)]
pub struct Stream {
    process: i32,
    since: Option<Instant>,
    /// Where the WAL ended when one was lost; until there is more, the next one has to prove itself.
    lost_at: Option<Lsn>,
}

impl Stream {
    /// What to say of the receiver: that it streams when it has brought WAL since the last one was lost, or is there for long.
    pub fn judge(&mut self, facts: &Facts) -> Receiver {
        if facts.receiver != Receiver::Streaming {
            if facts.receiver == Receiver::Lost {
                self.lost_at = facts.end;
            }
            (self.process, self.since) = (0, None);
            return facts.receiver;
        }
        let process = receiver::process();
        if self.process != process {
            // Another one has come and gone between two looks.
            if self.process != 0 {
                self.lost_at = facts.end;
            }
            (self.process, self.since) = (process, None);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.lost_at.is_some_and(|end| facts.end > Some(end)) || since.elapsed() >= FED {
            self.lost_at = None;
        }
        if self.lost_at.is_none() { Receiver::Streaming } else { Receiver::Lost }
    }
}
