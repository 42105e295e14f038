//! Where the WAL is, and who streams it.
use fsm::rule::standby_of;
use fsm::units::{Lsn, NodeId, Timeline};
use pgrx::pg_sys;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// One walsender of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalSender {
    /// Its process.
    pub pid: i32,
    /// It has caught up and streams.
    pub streaming: bool,
    /// It sends WAL, or is about to: a walsender before that has no view of the rule yet.
    pub sending: bool,
    /// By its own view of the rule commits wait for its standby.
    pub counts: bool,
    /// What its standby says to have flushed.
    pub flush: Lsn,
    /// The node whose slot it holds. A name alone proves nothing: everybody may use one.
    pub slot_node: Option<NodeId>,
}

/// The server is in recovery.
pub fn in_recovery() -> bool {
    // SAFETY: reads shared memory that exists in every process that has this library's.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// Up to where WAL is flushed, on which timeline. Out of recovery only.
pub fn flush_lsn_and_timeline() -> (Lsn, Timeline) {
    #[cfg(not(feature = "pg14"))]
    // SAFETY: as above; the timeline is written to a local variable.
    unsafe {
        let mut timeline = 0;
        let lsn = pg_sys::GetFlushRecPtr(&raw mut timeline);
        (Lsn(lsn), Timeline(timeline))
    }
    #[cfg(feature = "pg14")]
    // SAFETY: as above. RecoveryInProgress() is what sets ThisTimeLineID in a process without a database.
    unsafe {
        pg_sys::RecoveryInProgress();
        (Lsn(pg_sys::GetFlushRecPtr()), Timeline(pg_sys::ThisTimeLineID))
    }
}

/// Has the startup process look again at what it waits for (`WakeupRecovery`, xlogrecovery.c).
pub fn wake_recovery() {
    // SAFETY: sets a latch in shared memory; without an owner that does nothing.
    unsafe { pg_sys::WakeupRecovery() }
}

/// Where the next record is inserted. Out of recovery only.
pub fn insert_lsn() -> Lsn {
    // SAFETY: takes the lock that guards it itself.
    Lsn(unsafe { pg_sys::GetXLogInsertRecPtr() })
}

/// Up to where the members have flushed, as many of them as the server waits for. It never moves back in one life.
pub fn synchronously_flushed() -> Lsn {
    const FLUSH: usize = pg_sys::SYNC_REP_WAIT_FLUSH as usize;
    // SAFETY: an aligned word of shared memory that walsenders change under a lock, in one store; whoever was released by them
    // has passed a barrier since.
    Lsn(unsafe {
        let position = (&raw mut (*pg_sys::WalSndCtl).lsn[FLUSH]).cast::<u64>();
        AtomicU64::from_ptr(position).load(Ordering::SeqCst)
    })
}

/// Up to where WAL was replayed, on which timeline.
pub fn replay_lsn_and_timeline() -> (Lsn, Timeline) {
    let mut timeline = 0;
    // SAFETY: as above; the timeline is written to a local variable.
    let lsn = unsafe { pg_sys::GetXLogReplayRecPtr(&raw mut timeline) };
    (Lsn(lsn), Timeline(timeline))
}

/// Up to where the receiver has flushed, on which timeline; nothing when none was asked for in this life.
pub fn received_lsn_and_timeline() -> Option<(Lsn, Timeline)> {
    let mut timeline = 0;
    // SAFETY: as above; takes the receiver's spinlock itself.
    let lsn = unsafe { pg_sys::GetWalRcvFlushRecPtr(std::ptr::null_mut(), &raw mut timeline) };
    (lsn != 0).then_some((Lsn(lsn), Timeline(timeline)))
}

/// Every walsender of this server.
pub fn walsenders() -> Vec<WalSender> {
    let slots = active_slots();
    let mut senders = Vec::new();
    // SAFETY: the array in shared memory has max_wal_senders elements; each is read under its own spinlock, and
    // nothing between taking and releasing it can fail.
    unsafe {
        let first = (*pg_sys::WalSndCtl).walsnds.as_ptr().cast_mut();
        for index in 0..usize::try_from(pg_sys::max_wal_senders).unwrap_or(0) {
            let sender = first.add(index);
            pg_sys::SpinLockAcquire(&raw mut (*sender).mutex);
            let (pid, state, flush) = ((*sender).pid, (*sender).state, (*sender).flush);
            let priority = (*sender).sync_standby_priority;
            pg_sys::SpinLockRelease(&raw mut (*sender).mutex);
            if pid != 0 {
                senders.push(WalSender {
                    pid,
                    streaming: state == pg_sys::WalSndState::WALSNDSTATE_STREAMING,
                    sending: !matches!(
                        state,
                        pg_sys::WalSndState::WALSNDSTATE_STARTUP | pg_sys::WalSndState::WALSNDSTATE_BACKUP
                    ),
                    counts: priority > 0,
                    flush: Lsn(flush),
                    slot_node: slots.iter().find(|(holder, _)| *holder == pid).map(|(_, node)| *node),
                });
            }
        }
    }
    senders
}

/// The slots of ours that are held, by the PID of the holder.
fn active_slots() -> Vec<(i32, NodeId)> {
    let mut slots = Vec::new();
    // SAFETY: the array in shared memory has max_replication_slots elements; the name is copied under the lock that
    // guards it, and nothing in between can fail.
    unsafe {
        let first =
            (&raw mut (*pg_sys::ReplicationSlotCtl).replication_slots).cast::<pg_sys::ReplicationSlot>();
        for index in 0..usize::try_from(pg_sys::max_replication_slots).unwrap_or(0) {
            let slot = first.add(index);
            pg_sys::SpinLockAcquire(&raw mut (*slot).mutex);
            let (in_use, pid, name) = ((*slot).in_use, (*slot).active_pid, (*slot).data.name);
            pg_sys::SpinLockRelease(&raw mut (*slot).mutex);
            let node = CStr::from_ptr(name.data.as_ptr()).to_str().ok().and_then(standby_of);
            if let (true, Some(node)) = (in_use && pid != 0, node) {
                slots.push((pid, node));
            }
        }
    }
    slots
}

/// The checkpointer has told the backends that synchronous_standby_names names somebody.
pub fn sync_standbys_defined() -> bool {
    // The byte after the three positions was a bool until the minor releases of May 2025, and two flags since; the
    // library may run under a minor release that it was not built with.
    const DEFINED: u8 = 1 << 1;
    // SAFETY: reads one byte of a structure whose earlier fields are the same in all minor releases.
    let status = unsafe { (&raw const (*pg_sys::WalSndCtl).lsn).add(1).cast::<u8>().read_volatile() };
    let has_flags = match super::process::server_version() {
        version @ 140_000..150_000 => version >= 140_018,
        version @ 150_000..160_000 => version >= 150_013,
        version @ 160_000..170_000 => version >= 160_009,
        version @ 170_000..180_000 => version >= 170_005,
        _ => true,
    };
    if has_flags { status & DEFINED != 0 } else { status != 0 }
}
