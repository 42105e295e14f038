//! The keeper's session is this backend: it ends when the connection does, which the kernel tells us at once when the
//! keeper's process dies. Only a node's newest session counts; a half-open older one may end minutes later.
use crate::error::Error;
use crate::pg;
use fsm::group::{Probe, Session};
use fsm::units::NodeId;
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    /// The nodes that this backend speaks for, each with the number of its session. One, except in tests.
    static MINE: RefCell<BTreeMap<NodeId, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// The number of this backend's session for `node`; opened at its first report. The node must have its slot.
pub fn open(node: NodeId) -> Result<u64, Error> {
    let known = number_of(node);
    let now = pg::now();
    let newest = pg::board(|board| {
        let number = known.unwrap_or_else(|| board.next_session());
        let slot = board.node(node)?;
        if number > slot.session_number {
            slot.session_number = number;
            (slot.session, slot.session_since) = (Session::Up, now);
            // It was met before this life of the keeper: a refusal of a server that restarted would convict the next one.
            slot.probe = Probe::Unknown;
            slot.probe_since = now;
        }
        Some((number, slot.session_number))
    })?;
    let (number, newest) = newest.ok_or(Error::UnknownNode(node))?;
    if known.is_none() {
        let first = MINE.with_borrow_mut(|mine| {
            mine.insert(node, number);
            mine.len() == 1
        });
        if first {
            pg::watch_exit();
        }
    }
    if number < newest { Err(Error::SessionOver(node)) } else { Ok(number) }
}

/// The number of this backend's session for `node`, when there is one.
pub fn number_of(node: NodeId) -> Option<u64> {
    MINE.with_borrow(|mine| mine.get(&node).copied())
}

/// This backend ends: its sessions are lost, and the worker hears of it now.
pub fn at_exit() {
    let (mine, now) = (MINE.take(), pg::now());
    // Without a board there was no session either.
    let _ = pg::board(|board| {
        for (node, number) in mine {
            if let Some(slot) = board.node(node).filter(|slot| slot.session_number == number) {
                (slot.session, slot.session_since) = (Session::Lost, now);
            }
        }
    });
    pg::ring();
}
