//! What does not count any more is forgotten, so that fewer situations differ.
use super::{NOW, World};
use crate::setup::{Setup, Trouble};
use fsm::group::Group;
use fsm::message::Receiver;
use fsm::state::State;
use fsm::units::Lsn;

/// After each decision of the monitor.
pub fn forget_what_no_rule_reads(group: &mut Group) {
    for node in &mut group.nodes {
        if !matches!(node.goal, State::Draining | State::ReportLsn) {
            node.goal_since = NOW;
        }
        node.probe_since = NOW;
        if node.receiver == Receiver::Streaming {
            node.receiver_since = NOW;
        }
    }
}

impl World {
    /// What a keeper was told it is told again before it does anything, unless it is cut off. This keeps the number of situations small.
    pub(super) fn forget_what_nobody_reads(&mut self, setup: &Setup) {
        let may_be_cut = self.faults > 0 && setup.has(Trouble::CutOffNodes);
        for n in self.places().filter(|n| !may_be_cut && !self.cut[*n]) {
            if self.nodes[n].told.as_ref().is_some_and(|told| told.offer.is_none()) {
                self.nodes[n].told = None;
            }
        }
        if self.nodes.len() > 2 {
            self.forget_reports_that_no_rule_reads();
        }
    }

    /// Too many situations differ in nothing else. Pairs are looked at without this.
    fn forget_reports_that_no_rule_reads(&mut self) {
        let writer = self.group.reign().map(|reign| reign.writer);
        let election = self.group.election.as_ref().map(|election| election.term);
        for node in &mut self.group.nodes {
            if Some(node.id) == writer {
                node.receiver_since = NOW;
            } else {
                node.followers.clear();
            }
            // Where WAL ends counts for candidates, who told it with their pledge.
            if election.is_none_or(|term| node.pledge < term) {
                node.lsn = node.lsn.map(|_| Lsn(1));
            }
        }
    }
}
