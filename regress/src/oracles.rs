//! Both oracles at once: load on a cluster, and the two promises that are checked when it ends.
use crate::cluster::Cluster;
use crate::deadlines::FAILOVER;
use crate::ledger::{Ledger, Manner};
use crate::server::Server;
use crate::wait;
use crate::witness::Witness;
use std::io::Write;
use std::time::{Duration, Instant};

const WRITERS: usize = 3;

/// A cluster under load and under watch.
pub struct Oracles {
    ledger: Ledger,
    witness: Witness,
}

/// What was counted in the end.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Rows that were acknowledged, all of which are there.
    pub acknowledged: usize,
    /// Writes that failed or got no answer.
    pub unknown: usize,
}

impl Oracles {
    /// Starts writing and watching.
    pub fn start(cluster: &Cluster) -> Oracles {
        Oracles::start_with(cluster, Manner::usual(WRITERS))
    }

    /// The same with other writers.
    pub fn start_with(cluster: &Cluster, manner: Manner) -> Oracles {
        let oracles = Oracles { ledger: Ledger::start(cluster, manner), witness: Witness::start(cluster) };
        oracles.wait_for_writes();
        oracles
    }

    /// Waits until rows are acknowledged that were not before.
    pub fn wait_for_writes(&self) {
        let before = self.ledger.acknowledged();
        wait::until("the application's writes are acknowledged", FAILOVER, || {
            match self.ledger.acknowledged() {
                now if now > before + WRITERS => Ok(()),
                now => Err(format!("{} new", now - before)),
            }
        });
    }

    /// How long the application had to wait at most since `from`.
    pub fn longest_pause(&self, from: Instant) -> Duration {
        self.ledger.longest_pause(from)
    }

    /// How many rows were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.ledger.acknowledged()
    }

    /// Ends both. Panics when an acknowledged row is not on the settled primary, or two nodes took writes, or a log is alarming.
    pub fn finish(self, cluster: &Cluster) -> Counts {
        self.finish_on(cluster, cluster.wait_settled())
    }

    /// The same, where `writer` is what is left to write.
    pub fn finish_on(self, cluster: &Cluster, writer: &Server) -> Counts {
        let violations = self.witness.finish();
        let counts = Counts { acknowledged: self.ledger.acknowledged(), unknown: self.ledger.unknown() };
        let lost = self.ledger.finish(writer);
        assert!(
            lost.is_empty(),
            "{} of {} acknowledged rows are lost: {lost:?}",
            lost.len(),
            counts.acknowledged
        );
        assert!(violations.is_empty(), "two nodes took writes: {violations:?}");
        cluster.check_logs();
        counts
    }
}

/// Prints a line that `cargo test` shows for passing tests too.
pub fn tell(line: &str) {
    // Written to the stream itself: only the print macros are captured.
    drop(writeln!(std::io::stderr(), "{line}"));
}
