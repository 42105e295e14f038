//! A new copy of the upstream, with pg_basebackup. The old directory stays in its place until the new one is whole, and is kept aside then.
use super::saved;
use super::sync::{self, Disks};
use super::work::{Interrupted, Work};
use super::{child, size_of, source, space, swap};
use crate::error::{Error, Result};
use crate::postgres::Postgres;
use crate::standby;
use connection::Ssl;
use fsm::message::Peer;
use node_files::{Phase, StateDir};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// For what a killed command has left behind to end.
const ORPHAN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// Replaces PGDATA by a copy. Tries until it succeeds: without it there is no node.
pub fn clone(work: &mut Work, phase: &Phase) -> std::result::Result<(), Interrupted> {
    swap::check(&work.pgdata, &work.state_dir)?;
    saved::save(&work.pgdata, &work.state_dir, phase.step)?;
    // Before the space is measured: it is ours to free.
    let incoming = room(&work.state_dir)?;
    // The copy is as large as what it replaces, as far as anybody can tell; what it replaces is kept.
    space::wait_for(work, work.state_dir.path(), size_of(&work.pgdata))?;
    let disks = Disks::below(work.state_dir.path())?;
    let peer = loop {
        let peer = source::wait_for(work, &phase.copy.upstream().peer, source::reachable)?;
        room(&work.state_dir)?;
        info!("copies node {} at {}:{}", peer.node, peer.host, peer.port);
        let command = backup(&work.postgres, &work.state_dir, &peer, &phase.ssl, &phase.slot);
        let word = || format!("is still copying, {} MB so far", size_of(&incoming) >> 20);
        if work.run(&command, word)?.status.success() {
            break peer;
        }
        warn!("pg_basebackup failed; tries again");
        work.pause(Duration::from_secs(2))?;
    };
    saved::restore(&incoming, &work.pgdata, &work.state_dir)?;
    standby::follow(&incoming, &work.state_dir, &peer, &phase.ssl, &phase.slot)?;
    info!("brings the copy to the disk");
    disks.finish(&incoming)?;
    let kept = swap::swap(&work.pgdata, &incoming, &work.state_dir)?;
    info!("PGDATA is a new copy; the old one is kept in \"{}\"", kept.display());
    Ok(())
}

/// The first copy of a node that has no directory yet: into a place of its own, which `fetch` returns.
pub fn fetch(
    postgres: &Postgres,
    state_dir: &StateDir,
    peer: &Peer,
    ssl: &Ssl,
    slot: &str,
    mut word: impl FnMut(u64),
) -> Result<PathBuf> {
    let incoming = room(state_dir)?;
    let disks = Disks::below(state_dir.path())?;
    let command = backup(postgres, state_dir, peer, ssl, slot);
    let program = command.get_program().to_string_lossy().into_owned();
    // It must not go on copying when we are gone: a repeated command begins anew in the same place.
    let mut command = child::wrapped(&command);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut child =
        command.spawn().map_err(|cause| Error::config(format!("could not run \"{program}\": {cause}")))?;
    // It says little (no --progress), so the pipe does not fill while nobody reads it.
    while child.try_wait().map_err(|cause| Error::config(cause.to_string()))?.is_none() {
        word(size_of(&incoming));
        std::thread::sleep(Duration::from_millis(200));
    }
    let output = child.wait_with_output().map_err(|cause| Error::config(cause.to_string()))?;
    if output.status.success() {
        disks.finish(&incoming)?;
        return Ok(incoming);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("error:")).or(said.lines().last());
    let line = line.unwrap_or("it said nothing").trim();
    Err(Error::new(
        crate::error::Kind::PgCtl,
        format!("could not copy node {} at {}:{}: {line}", peer.node, peer.host, peer.port),
    ))
}

/// The place for a new directory in the making, without what an interrupted call left there. That was never more than a copy of
/// somebody else: an old PGDATA is not put there.
pub fn room(state_dir: &StateDir) -> Result<PathBuf> {
    let incoming = incoming(state_dir);
    let started = Instant::now();
    loop {
        match std::fs::remove_dir_all(&incoming) {
            Ok(()) => return Ok(incoming),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(incoming),
            // The second half of a pg_basebackup whose command was killed writes on until it notices.
            Err(cause)
                if cause.kind() == std::io::ErrorKind::DirectoryNotEmpty && started.elapsed() < ORPHAN =>
            {
                std::thread::sleep(LOOK);
            }
            Err(cause) => return Err(Error::io("remove", &incoming)(cause)),
        }
    }
}

/// A sibling of PGDATA, so that a rename puts it in place.
pub fn incoming(state_dir: &StateDir) -> PathBuf {
    state_dir.path().join("incoming")
}

fn backup(postgres: &Postgres, state_dir: &StateDir, peer: &Peer, ssl: &Ssl, slot: &str) -> Command {
    let mut command = postgres.basebackup(&incoming(state_dir), slot);
    command.arg("-d").arg(standby::backup_conninfo(peer, state_dir, ssl)).args(sync::left_to_us());
    command
}
