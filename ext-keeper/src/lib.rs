//! The keeper: the part of the failover system that lives inside each PostgreSQL server.
//!
//! * In the postmaster: [`boot_guard`] decides how a life begins, [`in_place`] turns its end into the next one.
//! * In every backend: [`commit_fence`] refuses commits without a lease.
//!   [`sessions`] turns clients away while it does.
//! * In the WAL receiver: [`receiver_gate`] keeps a pledge.
//! * In the WAL senders: [`impostors`] lets no name pass without its slot.
//! * In a background worker: `worker` talks to the monitor and does what is to be done.
//!
//! They meet in [`shared`] memory only. What is to be done is decided in the crate `fsm`.
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

mod act;
mod api;
mod boot_guard;
mod commit_fence;
mod gucs;
mod impostors;
mod in_place;
mod lease;
mod local;
mod memory;
mod monitor_link;
mod observe;
mod own_door;
mod pg;
mod promoted_by_hand;
mod receiver_gate;
mod report;
mod session;
mod sessions;
mod shared;
mod tick;
mod worker;

pgrx::pg_module_magic!(name, version);

/// Set in the postmaster and inherited by its children.
static PRELOADED: AtomicBool = AtomicBool::new(false);

/// The library was loaded when the server started, so there is shared memory.
fn is_preloaded() -> bool {
    PRELOADED.load(Relaxed)
}

/// Called by PostgreSQL when it loads the library.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    if !pg::is_preloading() {
        // A session has loaded it, perhaps for CREATE EXTENSION: too late to do anything.
        return;
    }
    gucs::init();
    if pg::postmaster::is_postmaster() && !pg::postmaster::is_binary_upgrade() {
        if !in_place::prepare() {
            return;
        }
        boot_guard::finish_interrupted_copy();
        if let Err(error) = shared::wake::make() {
            pg::warn(&format!(
                "could not make the keeper's bell: {error}; it hears of changes at its next beat"
            ));
        }
        register_worker();
    }
    pg::shmem::request();
    PRELOADED.store(true, Relaxed);
    commit_fence::install();
    receiver_gate::install();
    sessions::install();
}

/// Shared memory and no database: a worker with a database connection stops DROP DATABASE while it waits for the network.
fn register_worker() {
    BackgroundWorkerBuilder::new("pg_autoctl keeper")
        .set_type("pg_autoctl keeper")
        .set_library("pg_autoctl")
        .set_function("pg_autoctl_keeper_main")
        .enable_shmem_access(None)
        .set_start_time(BgWorkerStartTime::PostmasterStart)
        .set_restart_time(Some(Duration::from_secs(1)))
        .load();
}
