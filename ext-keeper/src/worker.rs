//! The keeper's background worker: one thread, one event loop, no database connection. It leaves with exit code 1, always.
use crate::act::{Checkpointer, Names, UpstreamWal};
use crate::lease::Lease;
use crate::memory::Memory;
use crate::own_door::OwnDoor;
use crate::shared::enrolled;
use crate::tick::{Again, Keeper};
use crate::{gucs, observe, pg};
use node_files::StateDir;
use pgrx::prelude::*;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What takes a few milliseconds is looked at again after this, and then less and less often.
const FIRST_LOOK: Duration = Duration::from_millis(2);
/// But never more seldom.
const LAST_LOOK: Duration = Duration::from_millis(100);

/// What is polled beside the ticks, and shared with them.
#[derive(Clone)]
pub struct Beside {
    /// Keeps the lease.
    pub lease: Rc<Lease>,
    /// Makes checkpoints.
    pub checkpointer: Rc<Checkpointer>,
    /// Finds out what the names of peers stand for.
    pub names: Rc<Names>,
    /// Finds out what the upstream still has.
    pub upstream_wal: Rc<UpstreamWal>,
    /// Finds out whether the own server lets anybody in.
    pub own_door: Rc<OwnDoor>,
}

/// Where PostgreSQL starts the worker.
#[pg_guard]
#[expect(unsafe_code, reason = "PostgreSQL finds a worker's function by its name")]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pg_autoctl_keeper_main(_argument: pg_sys::Datum) {
    if let Err(error) = pg::worker::install_signals().and_then(|()| live()) {
        pg::warn(&format!("the keeper could not start: {error}; it is started again in a moment"));
    }
    pg::worker::leave();
}

fn live() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // Names are resolved in threads: the monitor's, and those of the peers one by one.
        .max_blocking_threads(2)
        .build()?;
    runtime.block_on(run())?;
    // A name that is being resolved is not waited for.
    runtime.shutdown_background();
    Ok(())
}

/// Ends when the worker was told to go or the postmaster is dead. Both race everything else, so that nothing a
/// keeper waits for delays a shutdown.
async fn run() -> io::Result<()> {
    let wake = pg::worker::wake_fd()?;
    let postmaster = pg::worker::postmaster_fd()?;
    let stir = Notify::new();
    let mut keeper = None;
    let beside = Beside {
        lease: Rc::new(Lease::new()),
        checkpointer: Rc::default(),
        names: Rc::default(),
        upstream_wal: Rc::default(),
        own_door: Rc::default(),
    };
    let ended = tokio::select! {
        biased;
        dead = postmaster.readable() => {
            return dead.map(drop);
        }
        ended = signals(&wake, &stir) => ended,
        () = beside.lease.keep_by_contact() => Ok(()),
        () = beside.checkpointer.serve(&stir) => Ok(()),
        () = beside.names.serve(&stir) => Ok(()),
        () = beside.upstream_wal.serve(&stir) => Ok(()),
        () = beside.own_door.watch(&stir) => Ok(()),
        () = keep(&mut keeper, &beside, &stir) => Ok(()),
    };
    if let Some(keeper) = &mut keeper {
        keeper.shut_down().await;
    }
    ended
}

/// Listens to the eventfd; returns when the worker is to go.
async fn signals(wake: &AsyncFd<File>, stir: &Notify) -> io::Result<()> {
    loop {
        let mut ready = wake.readable().await?;
        let mut counter = [0; 8];
        match ready.get_inner().read(&mut counter) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => ready.clear_ready(),
        }
        if pg::worker::terminated() {
            return Ok(());
        }
        stir.notify_one();
    }
}

/// Takes up the node's memory, then ticks for ever.
async fn keep(slot: &mut Option<Keeper>, beside: &Beside, stir: &Notify) {
    if !enrolled::is() {
        return std::future::pending().await;
    }
    let keeper = loop {
        let taken = Memory::read(StateDir::at(gucs::state_dir()))
            .map_err(Into::into)
            .and_then(|memory| Keeper::take_up(memory, beside.clone()));
        match taken {
            Ok(keeper) => break slot.insert(keeper),
            Err(error) => pg::warn(&format!(
                "the keeper cannot read what it knows of this node: {error}; the server stays a read-only standby until that is repaired"
            )),
        }
        tokio::time::sleep(gucs::heartbeat_period().max(Duration::from_secs(5))).await;
    };
    let mut look = FIRST_LOOK;
    loop {
        let heartbeat = Instant::now() + gucs::heartbeat_period();
        let again = keeper.tick().await;
        let next = match again {
            Again::Now => {
                look = FIRST_LOOK;
                continue;
            }
            Again::Soon => {
                let next = Instant::now() + look;
                look = (look * 3 / 2).min(LAST_LOOK);
                next
            }
            Again::Later => {
                look = FIRST_LOOK;
                keeper.next_attempt().map_or(heartbeat, |attempt| attempt.min(heartbeat))
            }
        };
        let (seen, expected) = (keeper.facts.clone(), keeper.peers());
        tokio::select! {
            () = sleep_until(next.max(Instant::now())) => {}
            () = observe::news_since(&seen, &expected) => look = FIRST_LOOK,
            () = stir.notified() => {}
            () = keeper.called() => {}
        }
        if pg::worker::reload_asked() {
            pg::reload_config();
            keeper.reloaded();
        }
    }
}
