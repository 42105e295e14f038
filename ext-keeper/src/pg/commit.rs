//! The last moment before a commit record is written, and the first one after the wait that follows it.
use fsm::units::Lsn;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

/// What is asked in every backend.
pub struct Watch {
    /// A transaction is about to commit or to be prepared, or a prepared one to be committed. It may raise an ERROR.
    pub before: fn(),
    /// It is committed or prepared, and the wait for the members has ended somehow. It must not raise one.
    pub after: fn(End),
}

/// Where the WAL of a commit ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// There.
    At(Lsn),
    /// There or before; what lies between is other people's.
    UpTo(Lsn),
}

static WATCH: OnceLock<Watch> = OnceLock::new();
static PREVIOUS_UTILITY: OnceLock<pg_sys::ProcessUtility_hook_type> = OnceLock::new();

/// What the transaction under way has to be watched for when it has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    Commit,
    CommitPrepared,
}

thread_local! {
    // One thread a process.
    static PENDING: Cell<Pending> = const { Cell::new(Pending::Nothing) };
}

/// Puts the watch on the commits of every backend.
pub fn watch(watch: Watch) {
    if WATCH.set(watch).is_err() {
        return;
    }
    // SAFETY: called once, in the postmaster; its children inherit the callback and the hook.
    unsafe {
        pg_sys::RegisterXactCallback(Some(on_transaction_event), std::ptr::null_mut());
        let _ = PREVIOUS_UTILITY.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(on_utility);
    }
}

fn before() {
    if let Some(watch) = WATCH.get() {
        (watch.before)();
    }
}

fn after(end: End) {
    if let Some(watch) = WATCH.get() {
        (watch.after)(end);
    }
}

/// A parallel worker has no id of its own to commit; its leader is asked.
#[pg_guard]
unsafe extern "C-unwind" fn on_transaction_event(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    use pg_sys::XactEvent::{
        XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PRE_COMMIT, XACT_EVENT_PRE_PREPARE,
        XACT_EVENT_PREPARE,
    };
    // SAFETY: inside a transaction, or at its end; the positions are plain variables of this process.
    unsafe {
        let has_id = || pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId;
        match event {
            // Without an id there is nothing to commit.
            XACT_EVENT_PRE_COMMIT if has_id() => {
                before();
                // Changes of temporary and unlogged tables alone write no WAL but the commit record, which is not waited for.
                if pg_sys::XactLastRecEnd != 0 {
                    PENDING.set(Pending::Commit);
                }
            }
            XACT_EVENT_PRE_PREPARE => before(),
            XACT_EVENT_COMMIT => match PENDING.replace(Pending::Nothing) {
                // Stale where a transaction wrote nothing, or hints only: those are not asked about.
                Pending::Commit => after(End::At(Lsn(pg_sys::XactLastCommitEnd))),
                Pending::CommitPrepared => after(End::UpTo(super::flush_lsn_and_timeline().0)),
                Pending::Nothing => {}
            },
            // Its end is forgotten already; it has been flushed here.
            XACT_EVENT_PREPARE => after(End::UpTo(super::flush_lsn_and_timeline().0)),
            XACT_EVENT_ABORT => PENDING.set(Pending::Nothing),
            _ => {}
        }
    }
}

/// Not guarded by pgrx, which would turn every ERROR of every statement into a panic and back, with a backtrace for the
/// user: an ERROR jumps over this frame, which has nothing to clean up.
unsafe extern "C-unwind" fn on_utility(
    statement: *mut pg_sys::PlannedStmt,
    query: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe {
        check_utility(statement);
        let next = PREVIOUS_UTILITY.get().copied().flatten().unwrap_or(standard_ProcessUtility);
        next(statement, query, read_only_tree, context, parameters, environment, destination, completion);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn check_utility(statement: *mut pg_sys::PlannedStmt) {
    // SAFETY: a statement of PostgreSQL's; the tag is looked at before the cast.
    let commits_prepared = unsafe {
        let node = (*statement).utilityStmt;
        (*node).type_ == pg_sys::NodeTag::T_TransactionStmt
            && (*node.cast::<pg_sys::TransactionStmt>()).kind
                == pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED
    };
    if commits_prepared {
        before();
        // It is a transaction of its own, without an id.
        PENDING.set(Pending::CommitPrepared);
    }
}

/// The session waits until its commits are on the disks of members.
pub fn waits_for_flush() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::synchronous_commit >= SYNCHRONOUS_COMMIT_REMOTE_FLUSH }
}

const SYNCHRONOUS_COMMIT_REMOTE_FLUSH: c_int =
    pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_REMOTE_FLUSH as c_int;

/// This process tidies tables up: it acknowledges its commits to nobody, and PostgreSQL has it wait for nobody.
pub fn is_autovacuum() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::MyBackendType == pg_sys::BackendType::B_AUTOVAC_WORKER }
}

/// This process serves a client.
pub fn has_client() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::MyBackendType == pg_sys::BackendType::B_BACKEND }
}

/// Has the transaction under way wait for members to flush. PostgreSQL takes it back at its end.
pub fn wait_for_flush() {
    // SAFETY: inside a transaction, before its commit record; an ERROR would end it.
    unsafe {
        pg_sys::set_config_option(
            c"synchronous_commit".as_ptr(),
            c"on".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
}

/// Has the WAL flushed up to the end of one of this process's records.
pub fn flush_up_to(end: Lsn) {
    // SAFETY: the position is the end of a record, so there is such a position to flush.
    unsafe { pg_sys::XLogFlush(end.0) }
}

/// The process was told to end.
pub fn is_ending() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { (&raw const pg_sys::ProcDiePending).read_volatile() != 0 }
}

/// The client hears nothing more. The session ends as if its client were lost, as soon as PostgreSQL looks for that.
pub fn cut_client() {
    // SAFETY: the socket is the first field of that structure in every version; it is shut, not closed, so nobody
    // can have opened another under its number. The flags are what PostgreSQL's own code sets when it cannot send.
    unsafe {
        if !pg_sys::MyProcPort.is_null() {
            libc::shutdown(*pg_sys::MyProcPort.cast::<c_int>(), libc::SHUT_RDWR);
            pg_sys::ClientConnectionLost = 1;
            pg_sys::InterruptPending = 1;
        }
    }
}

unsafe extern "C-unwind" {
    /// PostgreSQL's own, without pgrx's guard.
    fn standard_ProcessUtility(
        statement: *mut pg_sys::PlannedStmt,
        query: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        parameters: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        destination: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
}
