//! Keeping the lease of a leased writer alive: by the monitor's grants, and while the monitor is away by contact with
//! the members (law 3).
use crate::pg;
use crate::shared::{clock, fence};
use fsm::rule::Rule;
use fsm::units::{Lsn, Millis, NodeId};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

/// Used until the monitor has granted one in this life.
const USUAL_LENGTH_NS: u64 = 3_000_000_000;
/// Several looks per lease, so that one lost packet does not cost it.
const LOOK_EVERY: Duration = Duration::from_millis(200);

struct Contact {
    /// The rule in force, while this node is a leased writer.
    rule: Option<Rule>,
    length_ns: u64,
    /// When the last report that was answered had been sent.
    heard_ns: u64,
    /// A record written after the moment, and where it ends.
    asked: Option<(u64, Lsn)>,
}

/// The lease. Shared by the ticks, which know the terms, and by the timer that looks for contact during long waits.
pub struct Lease {
    contact: RefCell<Contact>,
}

impl Lease {
    /// None is held.
    pub fn new() -> Lease {
        let contact = Contact { rule: None, length_ns: USUAL_LENGTH_NS, heard_ns: 0, asked: None };
        Lease { contact: RefCell::new(contact) }
    }

    /// The monitor answered the report of that moment.
    pub fn heard(&self, sent_at: u64) {
        self.contact.borrow_mut().heard_ns = sent_at;
    }

    /// When a grant of the monitor ends that came in answer to the report of `sent_at`.
    pub fn until(&self, sent_at: u64, granted: Millis) -> u64 {
        let length_ns = granted.0.saturating_mul(1_000_000);
        self.contact.borrow_mut().length_ns = length_ns;
        sent_at.saturating_add(length_ns)
    }

    /// From now on this node writes by lease under `rule`; or, without one, it does not.
    pub fn hold(&self, rule: Option<&Rule>) {
        let mut contact = self.contact.borrow_mut();
        if contact.rule.as_ref() != rule {
            contact.rule = rule.cloned();
            contact.asked = None;
        }
    }

    /// Looks for contact with the members for as long as it is polled.
    pub async fn keep_by_contact(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look();
        }
    }

    fn look(&self) {
        let mut contact = self.contact.borrow_mut();
        let now = clock::boottime_ns();
        let monitor_is_here = now.saturating_sub(contact.heard_ns) < contact.length_ns / 3;
        let Some(rule) = contact.rule.clone().filter(|rule| !rule.is_empty() && !monitor_is_here) else {
            contact.asked = None;
            return;
        };
        if let Some((since, end)) = contact.asked {
            if rule.is_met_by(&flushed_by(end)) {
                fence::extend_lease(since.saturating_add(contact.length_ns));
                contact.asked = None;
            } else if now.saturating_sub(since) > contact.length_ns {
                contact.asked = None;
            }
        }
        if contact.asked.is_none() {
            // The record is inserted after `now`: whoever flushes it has heard from this node since.
            contact.asked = Some((now, pg::worker::write_idle_record()));
        }
    }
}

/// The nodes that have flushed everything up to there.
pub fn flushed_by(end: Lsn) -> BTreeSet<NodeId> {
    pg::walsenders()
        .into_iter()
        .filter(|sender| sender.flush >= end)
        .filter_map(|sender| sender.slot_node)
        .collect()
}
