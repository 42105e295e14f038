//! The background worker: sees shared memory only, and has the database do its deciding
//! over an ordinary connection. One thread, one loop; nothing in it blocks.
use crate::watch::Watch;
use crate::{gucs, pg};
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;
use std::time::Duration;
use tokio::sync::Notify;

const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Tells the postmaster about the worker.
pub fn register() {
    BackgroundWorkerBuilder::new("pgautofailover monitor")
        .set_type("pgautofailover monitor")
        .set_library("pgautofailover")
        .set_function("pgautofailover_worker_main")
        .enable_shmem_access(None)
        // Before that its own connection could not be made.
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(RESTART_AFTER))
        .load();
}

/// The worker's main function, by the name that the postmaster looks for.
#[pg_guard]
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the postmaster finds the worker's function by its symbol")]
pub extern "C-unwind" fn pgautofailover_worker_main(_argument: pg_sys::Datum) {
    pg::take_signals();
    complain_about_settings();
    if let Err(error) = run() {
        warning!("the monitor's worker could not start: {error}; it is started again in a second");
    }
    pg::leave();
}

fn run() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(2)
        .thread_name("pgaf-names")
        .on_thread_start(pg::block_signals_here)
        .build()?;
    runtime.block_on(until_told_to_stop())
}

async fn until_told_to_stop() -> std::io::Result<()> {
    let bell = pg::doorbell()?;
    let postmaster = pg::postmaster_alive()?;
    let rung = Notify::new();
    let reload = Notify::new();
    // The bell rings for signals too. It races the whole loop, so that nothing in it can delay a shutdown.
    let listen = async {
        loop {
            bell.readable().await?.clear_ready();
            pg::silence_doorbell();
            if pg::told_to_stop() {
                return std::io::Result::Ok(());
            }
            if pg::told_to_reload() {
                reload.notify_one();
            }
            rung.notify_one();
        }
    };
    tokio::select! {
        biased;
        gone = postmaster.readable() => gone.map(|_| ()),
        stopped = listen => stopped,
        () = work(&rung, &reload) => Ok(()),
    }
}

async fn work(rung: &Notify, reload: &Notify) {
    let mut watch = Watch::new();
    loop {
        tokio::select! {
            biased;
            () = reload.notified() => {
                pg::reload_configuration();
                complain_about_settings();
            }
            () = rung.notified() => watch.rung(),
            () = watch.something_is_due() => {}
        }
        watch.look().await;
    }
}

fn complain_about_settings() {
    if let Some(complaint) = gucs::complaint() {
        warning!("{complaint}; the longer time is used until the setting is changed");
    }
}
