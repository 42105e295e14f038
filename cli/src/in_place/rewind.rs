//! Takes back what this node wrote and its group never acknowledged, with pg_rewind.
use super::work::{Interrupted, Work, aside, failed};
use super::{saved, source, space};
use crate::standby;
use fsm::message::Upstream;
use fsm::units::Lsn;
use node_files::{Phase, Step, durable};
use std::path::PathBuf;
use tracing::{info, warn};

/// How it ended.
pub enum Outcome {
    /// PGDATA is whole again and follows the upstream.
    Whole,
    /// pg_rewind cannot do it: a new copy must be made.
    Impossible,
}

/// Rewinds PGDATA to the upstream.
pub fn rewind(work: &mut Work, phase: &mut Phase, upstream: &Upstream) -> Result<Outcome, Interrupted> {
    saved::save(&work.pgdata, &work.state_dir, phase.step)?;
    if phase.step == Step::Asked {
        set_aside(work, upstream.fork)?;
        phase.step = Step::Copying;
        phase.write(&work.state_dir)?;
    }
    let peer = loop {
        let peer = source::wait_for(work, &upstream.peer)?;
        // pg_rewind runs the recovery of a crashed target itself, in single-user mode, which refuses a standby.
        durable::remove(&work.pgdata.join("standby.signal"))?;
        let mut command = work.postgres.command("pg_rewind");
        command.arg("-D").arg(&work.pgdata).arg("--source-server");
        command.arg(standby::rewind_conninfo(&peer, &work.state_dir));
        // The single-user server accepts the lock file that names us, its grandparent.
        command.env("PG_GRANDPARENT_PID", std::process::id().to_string());
        info!("rewinds PGDATA to node {} at {}:{}", peer.node, peer.host, peer.port);
        if work.run(&command, || "is still rewinding".to_owned())?.success() {
            break peer;
        }
        if source::reachable(&peer) {
            warn!("pg_rewind cannot bring PGDATA back; it is copied anew, and kept aside");
            return Ok(Outcome::Impossible);
        }
    };
    saved::restore(&work.pgdata, &work.state_dir)?;
    standby::follow(&work.pgdata, &work.state_dir, &peer, &phase.slot)?;
    info!("PGDATA is rewound");
    Ok(Outcome::Whole)
}

/// Copies the WAL from the fork on: it is the only trace of what is taken back.
fn set_aside(work: &Work, fork: Option<Lsn>) -> Result<(), Interrupted> {
    let segment = work.postgres.control(&work.pgdata)?.segment_size;
    let diverged = diverged_segments(work, fork.unwrap_or_default(), segment)?;
    let bytes = diverged.iter().map(|path| space::size_of(path)).sum();
    let target = aside(&work.state_dir, "wal")?;
    space::wait_for(work, &work.state_dir.aside(), bytes)?;
    std::fs::create_dir_all(&target).map_err(|cause| failed("create", &target, &cause))?;
    for path in &diverged {
        work.go_on()?;
        let to = target.join(path.file_name().unwrap_or_default());
        std::fs::copy(path, &to).map_err(|cause| failed("copy to", &to, &cause))?;
        let written = std::fs::File::open(&to).and_then(|file| file.sync_all());
        written.map_err(|cause| failed("write", &to, &cause))?;
    }
    durable::sync_parent(&target.join("x")).map_err(|cause| failed("write", &target, &cause))?;
    info!("keeps {} files of diverged WAL in \"{}\"", diverged.len(), target.display());
    Ok(())
}

fn diverged_segments(work: &Work, fork: Lsn, segment: u64) -> Result<Vec<PathBuf>, Interrupted> {
    let directory = work.pgdata.join("pg_wal");
    let entries = std::fs::read_dir(&directory).map_err(|cause| failed("read", &directory, &cause))?;
    let beyond = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".history") || end_of_segment(name, segment).is_some_and(|end| end > fork)
    };
    Ok(entries.flatten().map(|entry| entry.path()).filter(beyond).collect())
}

/// The first position after a segment, from its name: timeline, high half and number, eight hexadecimal digits each.
fn end_of_segment(name: &str, segment: u64) -> Option<Lsn> {
    let name = name.strip_suffix(".partial").unwrap_or(name);
    if name.len() != 24 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let high = u64::from_str_radix(&name[8..16], 16).ok()?;
    let number = u64::from_str_radix(&name[16..24], 16).ok()?;
    Some(Lsn((high << 32) + (number + 1) * segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_tells_where_it_ends() {
        let mib16 = 16 << 20;
        assert_eq!(end_of_segment("000000010000000000000003", mib16), Some(Lsn(0x0400_0000)));
        assert_eq!(end_of_segment("0000000200000001000000FF", mib16), Some(Lsn(0x2_0000_0000)));
        assert_eq!(end_of_segment("0000000200000001000000FF.partial", mib16), Some(Lsn(0x2_0000_0000)));
        for other in ["archive_status", "00000002.history", "", "00000001000000000000000g"] {
            assert_eq!(end_of_segment(other, mib16), None, "{other}");
        }
    }
}
