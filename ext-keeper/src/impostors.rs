//! A walsender releases commits by the name that its client has given itself, which proves nothing. So who uses a node's
//! name has to hold the node's slot, which one client at a time can, and has to know the present rule, before it streams.
use crate::pg::sender::{self, Start};
use crate::shared::rule;
use crate::{gucs, pg};
use fsm::rule::{Rule, standby_of};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// In a walsender whose client is who it says it is.
pub fn watch() {
    sender::watch(check, rule::unregister);
}

fn check(start: &Start) {
    // PostgreSQL compares names without regard to case.
    let named = standby_of(&start.name.to_ascii_lowercase());
    let holds = start.slot.as_deref().and_then(standby_of);
    if named.is_some() && named != holds {
        ErrorReport::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("only who streams by the slot \"{0}\" may use the name \"{0}\"", start.name),
            function_name!(),
        )
        .set_detail("It is the name of a node, and commits may wait for that node.")
        .set_hint("Give another application_name.")
        .report(PgLogLevel::ERROR);
    }
    if holds.is_none() {
        return;
    }
    // In this order: the keeper demands a number first, and then looks who has registered with which.
    let (read, has_room) = (gucs::rule_number(), rule::register(gucs::rule_number()));
    if !has_room {
        retry(format!("more than {} nodes stream from this server", rule::READERS));
    }
    if read < rule::demanded() {
        retry("this walsender has not read the present rule yet".to_owned());
    }
}

fn retry(why: String) {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, why, function_name!())
        .set_hint("Connect again.")
        .report(PgLogLevel::ERROR);
}

/// What still stands in the way of `rule`, of that number, being in force in every walsender. Ends those that count by a name alone.
pub fn disagreement(rule: &Rule, number: u32) -> Option<String> {
    if !rule::is_read_by_checkpointer(number) {
        return Some("the checkpointer has not read the rule yet".to_owned());
    }
    // Twice, for names and slots are not seen in one moment.
    let count_by_name = || {
        let senders = pg::walsenders().into_iter();
        senders.filter(|sender| sender.sending && sender.counts && sender.slot_node.is_none()).map(|s| s.pid)
    };
    let before: Vec<i32> = count_by_name().collect();
    for pid in count_by_name().filter(|pid| before.contains(pid)) {
        pg::warn(&format!("process {pid} has the name of a node and not its slot: ended"));
        pg::worker::end(pid);
    }
    pg::walsenders().into_iter().filter(|sender| sender.sending).find_map(|sender| match sender.slot_node {
        Some(node) if !rule::is_read_by(sender.pid, number) => {
            Some(format!("the walsender of node {node} has not read the rule yet"))
        }
        Some(node) if sender.counts && !rule.members.contains(&node) => {
            Some(format!("commits may still be released by node {node}"))
        }
        None if sender.counts => {
            Some(format!("process {} has the name of a node and not its slot", sender.pid))
        }
        Some(_) | None => None,
    })
}
