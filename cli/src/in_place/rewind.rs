//! Takes back what this node wrote and its group never acknowledged, with pg_rewind.
use super::sync::{self, Disks};
use super::work::{Interrupted, Work};
use super::{diverged, saved, source};
use crate::standby;
use connection::Ssl;
use fsm::message::{Peer, Upstream};
use node_files::{Phase, Step, durable};
use std::process::Command;
use std::time::Duration;
use tracing::{info, warn};

/// How it ended.
pub enum Outcome {
    /// PGDATA is whole again and follows the upstream.
    Whole,
    /// pg_rewind cannot do it: a new copy must be made.
    Impossible,
}

/// So often may pg_rewind fail at a source that lets us in: what is in its way may pass, and a new copy takes long.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// What pg_rewind says when another try would end in the same way.
const FINAL_WORDS: [&str; 7] = [
    "could not find previous WAL record",
    "could not read WAL record",
    "could not find common ancestor",
    "target server needs to use either data checksums",
    "are from different systems",
    "clusters are not compatible with this version",
    "No space left on device",
];

/// What pg_rewind says when it compares the numbers of two timelines, finds them equal, and does nothing. It is asked for where
/// histories differ, so they are different ones of the same number (law 9).
const SAME_NUMBER: &str = "source and target cluster are on the same timeline";

/// Rewinds PGDATA to the upstream.
pub fn rewind(work: &mut Work, phase: &mut Phase, upstream: &Upstream) -> Result<Outcome, Interrupted> {
    saved::save(&work.pgdata, &work.state_dir, phase.step)?;
    if phase.step == Step::Asked {
        diverged::set_aside(work, upstream.fork)?;
        phase.step = Step::Copying;
        phase.write(&work.state_dir)?;
    }
    let disks = Disks::below(&work.pgdata)?;
    let mut failures = 0;
    let peer = loop {
        let peer =
            source::wait_for(work, &upstream.peer, |work, peer| source::lets_in(work, peer, &phase.ssl))?;
        // No server that runs has this file, and pg_rewind writes it among the last. After that it takes PGDATA for a copy
        // of the source, and would find nothing to do there, whether everything had reached the disk or not.
        if work.pgdata.join("backup_label").exists() {
            warn!("an earlier rewind was interrupted at its end; PGDATA is copied anew, and kept aside");
            return Ok(Outcome::Impossible);
        }
        // pg_rewind runs the recovery of a crashed target itself, in single-user mode, which refuses a standby.
        durable::remove(&work.pgdata.join("standby.signal"))?;
        info!("rewinds PGDATA to node {} at {}:{}", peer.node, peer.host, peer.port);
        let run = || work.run(&command(work, &peer, &phase.ssl), || "is still rewinding".to_owned());
        let heard = disks.beside(run)??;
        if heard.said.contains(SAME_NUMBER) {
            warn!("PGDATA has another timeline of the same number; it is copied anew, and kept aside");
            return Ok(Outcome::Impossible);
        }
        if heard.status.success() {
            break peer;
        }
        if FINAL_WORDS.iter().any(|words| heard.said.contains(words)) {
            warn!("pg_rewind cannot bring PGDATA back; it is copied anew, and kept aside");
            return Ok(Outcome::Impossible);
        }
        work.pause(BETWEEN_TRIES)?;
        // A source that went away is waited for, however often.
        if source::lets_in(work, &peer, &phase.ssl).is_ok() {
            failures += 1;
        }
        if failures == TRIES {
            warn!("pg_rewind failed {TRIES} times; PGDATA is copied anew, and kept aside");
            return Ok(Outcome::Impossible);
        }
    };
    saved::restore(&work.pgdata, &work.pgdata, &work.state_dir)?;
    standby::follow(&work.pgdata, &work.state_dir, &peer, &phase.ssl, &phase.slot)?;
    info!("brings PGDATA to the disk");
    disks.finish(&work.pgdata)?;
    info!("PGDATA is rewound");
    Ok(Outcome::Whole)
}

fn command(work: &Work, peer: &Peer, ssl: &Ssl) -> Command {
    let mut command = work.postgres.command("pg_rewind");
    command.arg("-D").arg(&work.pgdata).arg("--source-server");
    command.arg(standby::rewind_conninfo(peer, &work.state_dir, ssl));
    command.args(sync::left_to_us());
    // The single-user server accepts the lock file that names us, its grandparent.
    command.env("PG_GRANDPARENT_PID", std::process::id().to_string());
    // We must understand what it says.
    command.env("LC_ALL", "C");
    command
}
