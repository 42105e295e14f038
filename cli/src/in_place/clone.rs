//! A new copy of the upstream, with pg_basebackup. The old directory stays in its place until the new one is whole, and is kept aside then.
use super::saved::{self, remove_tree};
use super::work::{Interrupted, Work, failed};
use super::{child, size_of, source, space};
use crate::error::{Error, Result};
use crate::postgres::Postgres;
use crate::standby;
use fsm::message::Peer;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use node_files::{Phase, StateDir, durable};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tracing::{info, warn};

/// Replaces PGDATA by a copy. Tries until it succeeds: without it there is no node.
pub fn clone(work: &mut Work, phase: &Phase) -> std::result::Result<(), Interrupted> {
    saved::save(&work.pgdata, &work.state_dir)?;
    let incoming = incoming(&work.state_dir);
    // The copy is as large as what it replaces, as far as anybody can tell; what it replaces is kept.
    space::wait_for(work, work.state_dir.path(), size_of(&work.pgdata))?;
    let peer = loop {
        let peer = source::wait_for(work, &phase.copy.upstream().peer)?;
        remove_tree(&incoming)?;
        info!("copies node {} at {}:{}", peer.node, peer.host, peer.port);
        let command = backup(&work.postgres, &work.state_dir, &peer, &phase.slot);
        let word = || format!("is still copying, {} MB so far", size_of(&incoming) >> 20);
        if work.run(&command, word)?.success() {
            break peer;
        }
        warn!("pg_basebackup failed; tries again");
        work.pause(Duration::from_secs(2))?;
    };
    saved::restore(&incoming, &work.state_dir)?;
    standby::follow(&incoming, &work.state_dir, &peer, &phase.slot)?;
    swap(work, &incoming)
}

/// The first copy of a node that has no directory yet: into a place of its own, which `fetch` returns.
pub fn fetch(
    postgres: &Postgres,
    state_dir: &StateDir,
    peer: &Peer,
    slot: &str,
    mut word: impl FnMut(u64),
) -> Result<PathBuf> {
    let incoming = room(state_dir)?;
    let command = backup(postgres, state_dir, peer, slot);
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

/// The place for a new directory in the making, without what an interrupted call left there.
pub fn room(state_dir: &StateDir) -> Result<PathBuf> {
    let incoming = incoming(state_dir);
    match std::fs::remove_dir_all(&incoming) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", &incoming)(cause))
        }
        Ok(()) | Err(_) => Ok(incoming),
    }
}

/// A sibling of PGDATA, so that a rename puts it in place.
fn incoming(state_dir: &StateDir) -> PathBuf {
    state_dir.path().join("incoming")
}

fn backup(postgres: &Postgres, state_dir: &StateDir, peer: &Peer, slot: &str) -> Command {
    let mut command = postgres.basebackup(&incoming(state_dir), slot);
    command.arg("-d").arg(standby::backup_conninfo(peer, state_dir));
    command
}

/// Old and new change places in one step, so that at no moment there is no PGDATA; then the old one goes aside.
fn swap(work: &Work, incoming: &Path) -> std::result::Result<(), Interrupted> {
    let kept = work.aside("pgdata")?;
    if renameat2(AT_FDCWD, incoming, AT_FDCWD, &work.pgdata, RenameFlags::RENAME_EXCHANGE).is_ok() {
        std::fs::rename(incoming, &kept).map_err(|cause| failed("create", &kept, &cause))?;
    } else {
        // A file system without that call.
        std::fs::rename(&work.pgdata, &kept).map_err(|cause| failed("create", &kept, &cause))?;
        std::fs::rename(incoming, &work.pgdata).map_err(|cause| failed("create", &work.pgdata, &cause))?;
    }
    for path in [&work.pgdata, &kept, incoming] {
        durable::sync_parent(path).map_err(|cause| failed("write", path, &cause))?;
    }
    info!("PGDATA is a new copy; the old one is kept in \"{}\"", kept.display());
    Ok(())
}
