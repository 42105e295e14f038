//! The last moment before a commit record is written.
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

static CHECK: OnceLock<fn()> = OnceLock::new();
static PREVIOUS_UTILITY: OnceLock<pg_sys::ProcessUtility_hook_type> = OnceLock::new();

/// Has `check` called in every backend before a transaction with an id commits or is prepared, and before a prepared one
/// is committed. It may raise an ERROR.
pub fn check_before_commit(check: fn()) {
    if CHECK.set(check).is_err() {
        return;
    }
    // SAFETY: called once, in the postmaster; its children inherit the callback and the hook.
    unsafe {
        pg_sys::RegisterXactCallback(Some(on_transaction_event), std::ptr::null_mut());
        let _ = PREVIOUS_UTILITY.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(on_utility);
    }
}

fn check() {
    if let Some(check) = CHECK.get() {
        check();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_transaction_event(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    // A parallel worker has no id of its own to commit; its leader is asked.
    let about_to_commit = event == pg_sys::XactEvent::XACT_EVENT_PRE_COMMIT
        || event == pg_sys::XactEvent::XACT_EVENT_PRE_PREPARE;
    // SAFETY: inside a transaction. Without an id there is nothing to commit.
    if about_to_commit && unsafe { pg_sys::GetTopTransactionIdIfAny() } != pg_sys::InvalidTransactionId {
        check();
    }
    // "One writer, nothing lost" raises synchronous_commit here, and looks at XACT_EVENT_COMMIT and XACT_EVENT_PREPARE for
    // waits that ended without enough members.
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
        check();
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
