//! The board: what the monitor knows for the moment only, in shared memory. Node slots hold what each heartbeat and
//! each probe brings; group slots order lease grants against evaluations. Every life of the server starts with an empty one.
use crate::error::Error;
use fixed::Fixed;
use fsm::group::{Probe, Session};
use fsm::monitor::facts::Health;
use fsm::units::{Lsn, Millis, Moment, NodeId};
use refusals::Refusals;
use slots::Slots;

pub mod fixed;
pub mod refusals;
mod slots;

/// How many nodes one monitor can look after.
pub const MAX_NODES: usize = 1024;
const HOST_BYTES: usize = 255;
/// The worker looks at the board twice a second, and may wait for a lock on a group in between.
const STANDSTILL: Millis = Millis(3_000);

/// Whether a host name fits on the board.
pub const fn fits(host: &str) -> bool {
    !host.is_empty() && host.len() <= HOST_BYTES
}

/// What is known of one node for the moment.
#[derive(Clone, Copy)]
pub struct NodeSlot {
    id: NodeId,
    group: i32,
    /// `register` refuses names that do not fit.
    host: Fixed<HOST_BYTES>,
    port: u16,
    /// The newest session of its keeper; 0: none in this life of the monitor.
    pub session_number: u64,
    /// What became of that session.
    pub session: Session,
    /// Since when it is so.
    pub session_since: Moment,
    /// What the last probe met.
    pub probe: Probe,
    /// Since when probes meet this.
    pub probe_since: Moment,
    /// When the last probe ended.
    pub probed: Option<Moment>,
    /// When the last report came.
    pub heard: Option<Moment>,
    /// The end of its WAL by that report.
    pub lsn: Option<Lsn>,
    /// Since when its receiver is as it is.
    pub receiver_since: Moment,
    /// When its goal was assigned.
    pub goal_since: Moment,
    /// What was said of its health last.
    pub health_told: Health,
}

/// What orders the heartbeats and the evaluations of one group.
#[derive(Clone, Copy)]
pub struct GroupSlot {
    serial: i32,
    /// An evaluation has begun whose result is not here yet: no lease is granted outside of it, and answers that were
    /// given before are not given again. Stays set when the evaluation fails, so that the next report evaluates anew.
    pub under_evaluation: bool,
    /// Grows whenever an evaluation changed something: answers of an older generation are void.
    pub generation: u64,
    /// Something is under way: each report evaluates.
    pub unsettled: bool,
    /// The last moment at which a lease granted in this life of the monitor can still run.
    pub granted_until: Moment,
}

/// The whole board.
pub struct Board {
    /// When this life of the monitor started, or went on after the whole of it had stood still.
    pub started: Moment,
    last_look: Moment,
    last_session: u64,
    nodes: Slots<NodeSlot, MAX_NODES>,
    groups: Slots<GroupSlot, MAX_NODES>,
    /// Refusals that are to become events.
    pub refusals: Refusals,
}

/// A server to probe, and what is known of it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The node.
    pub id: NodeId,
    /// Its group.
    pub group: i32,
    /// Where it listens.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The newest session, when that one was lost.
    pub lost_session: Option<u64>,
    /// For how long it has said nothing, counted from the monitor's start when it never spoke.
    pub silent_for: Millis,
    /// Its group has something under way.
    pub unsettled: bool,
}

impl Board {
    /// An empty board.
    pub const fn new(started: Moment) -> Board {
        Board {
            started,
            last_look: started,
            last_session: 0,
            nodes: Slots::EMPTY,
            groups: Slots::EMPTY,
            refusals: Refusals::new(),
        }
    }

    /// Whoever looks at the board notes it. When nobody did for long, the monitor was frozen, or its machine was: reports wait unread, and
    /// the silence is its own, as after a start. For how long it stood still; nobody is missed on a board without nodes.
    pub fn look(&mut self, now: Moment) -> Option<Millis> {
        let stood_still = now.since(std::mem::replace(&mut self.last_look, now));
        if stood_still <= STANDSTILL || self.nodes.iter().next().is_none() {
            return None;
        }
        self.started = now;
        Some(stood_still)
    }

    /// The slot of a node.
    pub fn node(&mut self, id: NodeId) -> Option<&mut NodeSlot> {
        self.nodes.get(id.0)
    }

    /// The slot of a group.
    pub fn group(&mut self, serial: i32) -> Option<&mut GroupSlot> {
        self.groups.get(serial.into())
    }

    /// The slot of a group, made when there is none yet.
    pub fn group_or_new(&mut self, serial: i32) -> Result<&mut GroupSlot, Error> {
        self.groups.get_or_insert(serial.into(), || GroupSlot {
            serial,
            under_evaluation: true,
            generation: 0,
            unsettled: true,
            granted_until: Moment(0),
        })
    }

    /// Gives a node its slot, or its slot the present address.
    pub fn place(
        &mut self,
        id: NodeId,
        group: i32,
        host: &str,
        port: u16,
        now: Moment,
    ) -> Result<&mut NodeSlot, Error> {
        let slot = self.nodes.get_or_insert(id.0, || NodeSlot {
            id,
            group,
            host: Fixed::EMPTY,
            port,
            session_number: 0,
            session: Session::Never,
            session_since: now,
            probe: Probe::Unknown,
            probe_since: now,
            probed: None,
            heard: None,
            lsn: None,
            receiver_since: now,
            goal_since: now,
            health_told: Health::Unknown,
        })?;
        (slot.group, slot.host, slot.port) = (group, Fixed::new(host), port);
        Ok(slot)
    }

    /// Forgets the nodes of `group` that `stays` does not know.
    pub fn keep_nodes(&mut self, group: i32, stays: impl Fn(NodeId) -> bool) {
        self.nodes.retain(|node| node.group != group || stays(node.id));
    }

    /// Forgets the groups that `stays` does not know, and their nodes.
    pub fn keep_groups(&mut self, stays: impl Fn(i32) -> bool) {
        self.groups.retain(|group| stays(group.serial));
        self.nodes.retain(|node| stays(node.group));
    }

    /// Forgets a group and its nodes.
    pub fn forget_group(&mut self, serial: i32) {
        self.keep_groups(|known| known != serial);
    }

    /// A number for a new session; larger than every one before.
    pub fn next_session(&mut self) -> u64 {
        self.last_session += 1;
        self.last_session
    }

    /// Notes what a probe met. True when that is news.
    pub fn probed(&mut self, id: NodeId, met: Probe, now: Moment) -> bool {
        let Some(slot) = self.node(id) else { return false };
        slot.probed = Some(now);
        let news = slot.probe != met;
        if news {
            slot.probe = met;
            slot.probe_since = now;
        }
        news
    }

    /// Every server to look after.
    pub fn targets(&self, now: Moment) -> Vec<Target> {
        let unsettled = |serial: i32| {
            let group = self.groups.look(serial.into());
            group.is_none_or(|group| group.unsettled || group.under_evaluation)
        };
        let target = |slot: &NodeSlot| Target {
            id: slot.id,
            group: slot.group,
            host: slot.host.get(),
            port: slot.port,
            lost_session: (slot.session == Session::Lost).then_some(slot.session_number),
            silent_for: now.since(slot.heard.unwrap_or(self.started)),
            unsettled: unsettled(slot.group),
        };
        self.nodes.iter().map(target).collect()
    }
}
