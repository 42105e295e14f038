//! The yes/no facts that rules may look at, in an operator's words. No single signal convicts; unknown is not dead (law 9).
use crate::group::{Group, Node, Probe, Reign, Session};
use crate::message::Receiver;
use crate::policy::Policy;
use crate::state::State;
use crate::units::{Lsn, Millis, Moment, NodeId, Term};
use std::collections::BTreeSet;

/// The health column of the SQL surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It reports.
    Good,
    /// It is gone or silent.
    Bad,
    /// Neither is known.
    Unknown,
}

/// A group as it looks at one moment.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The group.
    pub group: &'a Group,
    /// The thresholds.
    pub policy: &'a Policy,
    /// The moment.
    pub now: Moment,
}

impl<'a> Facts<'a> {
    /// Looks at `group` at `now`.
    pub fn new(group: &'a Group, policy: &'a Policy, now: Moment) -> Facts<'a> {
        Facts { group, policy, now }
    }

    /// The recorded writer.
    pub fn writer(&self) -> Option<&'a Node> {
        self.group.writer()
    }

    /// The monitor has just started, or stood still: silence and refusals may be its own.
    pub fn in_startup_grace(&self) -> bool {
        self.now.since(self.group.monitor_started) < self.policy.startup_grace
    }

    /// For how long the node has said nothing.
    pub fn silent_for(&self, node: &Node) -> Millis {
        self.now.since(node.heard.unwrap_or(self.group.monitor_started))
    }

    /// It reports: the session stands and the last report is fresh.
    pub fn in_contact(&self, node: &Node) -> bool {
        node.heard.is_some()
            && node.session != Session::Lost
            && self.silent_for(node) <= self.policy.unhealthy
    }

    /// The kernels say that there is no server: its session ended and its port refuses. A node that never had a session must be silent too.
    pub fn is_gone(&self, node: &Node) -> bool {
        match (node.session, node.probe) {
            (Session::Lost, Probe::Refused) => true,
            (Session::Never, Probe::Refused) => self.silent_for(node) > self.policy.unhealthy,
            (Session::Up, _)
            | (_, Probe::Unknown | Probe::Answers | Probe::Starting | Probe::Stopping | Probe::Silent) => {
                false
            }
        }
    }

    /// It says nothing for longer than the time-out, and its server does not answer either.
    pub fn is_silent(&self, node: &Node) -> bool {
        self.silent_for(node) > self.policy.unhealthy
            && !matches!(node.probe, Probe::Answers | Probe::Unknown)
    }

    /// It is gone or silent: it cannot be counted on now.
    pub fn is_lost(&self, node: &Node) -> bool {
        !self.in_startup_grace() && (self.is_gone(node) || self.is_silent(node))
    }

    /// The health column.
    pub fn health(&self, node: &Node) -> Health {
        if self.in_contact(node) {
            Health::Good
        } else if self.is_gone(node) || self.is_silent(node) {
            Health::Bad
        } else {
            Health::Unknown
        }
    }

    /// It streams from the writer, by its own word or by the writer's.
    pub fn follows(&self, node: &Node) -> bool {
        let seen = self
            .writer()
            .is_some_and(|writer| self.in_contact(writer) && writer.followers.contains(&node.id));
        seen || (self.in_contact(node) && node.receiver == Receiver::Streaming)
    }

    /// The recorded writer has opened its reign: it writes, or has promoted and is about to. Who follows it gets that history.
    pub fn has_opened_its_reign(&self, writer: &Node) -> bool {
        let promoted = writer.promotion.is_some_and(|made| made.term == self.group.term);
        writer.reported.writes() || (promoted && !writer.in_recovery)
    }

    /// A standby that the writer can no longer count on: lost, or in contact with us and not with the writer for the time-out.
    pub fn has_left(&self, node: &Node) -> bool {
        if self.follows(node) {
            return false;
        }
        let cut_off = self.in_contact(node)
            && node.receiver != Receiver::Streaming
            && self.now.since(node.receiver_since) > self.policy.unhealthy;
        self.is_lost(node) || (cut_off && !self.in_startup_grace())
    }

    /// It promoted in a term that was never recorded as its own: its history is nobody's (law 9).
    pub fn is_impostor(&self, node: &Node) -> bool {
        node.promotion.is_some_and(|promotion| {
            !self.group.reigns.iter().any(|reign| reign.term == promotion.term && reign.writer == node.id)
        })
    }

    /// All that it has acknowledged is there, in a history that was recorded: its pledge counts (laws 5 and 7).
    pub fn is_whole(&self, node: &Node) -> bool {
        !self.is_impostor(node) && node.old_image.is_none()
    }

    /// The standbys that report, are whole, and could pledge at once.
    pub fn ready_to_pledge(&self) -> BTreeSet<NodeId> {
        let writer = self.group.reign().map(|reign| reign.writer);
        let named = self.group.members();
        // One that is to leave receives until no rule names it any more.
        let leaves = |node: &Node| node.goal == State::Dropped && named.contains(&node.id);
        let ready = |node: &&Node| {
            Some(node.id) != writer
                && self.in_contact(node)
                && node.in_recovery
                && self.is_whole(node)
                && (leaves(node)
                    // A former writer that has nobody to follow yet.
                    || node.reported == State::Demoted
                    || node.reported.has_upstream()
                    || node.goal.has_upstream()
                    || node.pledge > Term(0))
        };
        self.group.nodes.iter().filter(ready).map(|node| node.id).collect()
    }

    /// All binding rules are held by these nodes.
    pub fn held_by(&self, nodes: &BTreeSet<NodeId>) -> bool {
        self.group.binding_rules().all(|rule| rule.is_held_by(nodes))
    }

    /// An election opened now would find its pledges and a candidate. Never from an unleased state (law 4).
    pub fn can_elect(&self) -> bool {
        let ready = self.ready_to_pledge();
        let named = self.group.members();
        let eligible = |node: &&Node| {
            ready.contains(&node.id)
                && self.may_win(node)
                && (named.contains(&node.id) || (named.is_empty() && node.goal == State::Secondary))
        };
        !self.group.unleased && self.held_by(&ready) && self.group.nodes.iter().any(|node| eligible(&node))
    }

    /// An election may promote it: by its priority, or because an operator has named it.
    pub fn may_win(&self, node: &Node) -> bool {
        node.priority > 0 || self.group.wanted == Some(node.id)
    }

    /// Enough members have lost the writer that it could not get a commit acknowledged: they say so themselves.
    pub fn members_lost_the_writer(&self) -> bool {
        let lost = |node: &&Node| {
            let counts = node.goal != State::Maintenance && node.old_image.is_none();
            counts && self.in_contact(node) && node.receiver != Receiver::Streaming
        };
        let lost: BTreeSet<NodeId> = self.group.nodes.iter().filter(lost).map(|node| node.id).collect();
        let asynchronous_too = self.group.members().is_empty();
        self.held_by(&lost) && (!asynchronous_too || !lost.is_empty())
    }

    /// The nodes whose durable pledge is for `term`, that are whole, and whose end of WAL is known.
    pub fn pledged(&self, term: Term) -> Vec<&'a Node> {
        let pledged = |node: &&Node| node.pledge >= term && node.lsn.is_some() && self.is_whole(node);
        self.group.nodes.iter().filter(pledged).collect()
    }

    /// It has WAL that the recorded history left out: it is no candidate before it is rewound, however much it has (law 9).
    pub fn has_diverged(&self, node: &Node) -> bool {
        let fork = self.group.fork(self.group.history(node));
        node.lsn.is_some_and(|end| fork.is_none_or(|fork| end > fork))
    }

    /// Where a node's WAL stands among others': the last recorded reign whose WAL it has, then how far (law 9). A node that
    /// follows a new reign but has not reached its beginning has WAL of the reign before, and may have less than others of that one.
    pub fn progress(&self, node: &Node) -> (Term, Lsn) {
        let end = node.lsn.unwrap_or_default();
        let history = self.group.history(node);
        let entered = |reign: &&Reign| reign.term <= history && reign.switch_lsn < end;
        (self.group.reigns.iter().rev().find(entered).map_or(Term(0), |reign| reign.term), end)
    }
}
