//! What each event does to the world.
use super::{Event, LONG_AGO, Late, MOST_STEPS, NOW, RUNNING, World, id};
use crate::node::Fence;
use crate::nothing_destroyed;
use crate::setup::{Setup, Trouble};
use crate::shared::Shared;
use fsm::group::{Probe, Session};
use fsm::message::{Assignment, Peer, Report, Upstream, VERSION};
use fsm::monitor::{assignment, resume};
use fsm::units::Moment;
use std::collections::BTreeSet;

/// Of a monitor that was put back.
pub const LATER_EPOCH: u64 = 1;

impl World {
    pub fn happen(&mut self, event: &Event, setup: &Setup) {
        match *event {
            Event::Tick(n) => {
                self.beat(n, setup);
                self.act(n, setup);
            }
            Event::Die(..) => {}
            Event::LoseAnswer(n) => {
                self.drop_answers_to(n);
                let report = self.report(n);
                self.deliver(&report, setup);
            }
            Event::DelayAnswer(n) => {
                let report = self.report(n);
                self.late = self.deliver(&report, setup).map(|told| Late::Answer(n, told));
            }
            Event::TakeAnswer => {
                if let Some(Late::Answer(n, told)) = self.late.take() {
                    self.nodes[n].hear(told);
                    self.act(n, setup);
                }
            }
            Event::DelayReport(n) => self.late = Some(Late::Report(n, Box::new(self.report(n)), false)),
            Event::TakeReport => {
                if let Some(Late::Report(n, report, long_ago)) = self.late.take() {
                    let mut told = self.deliver(&report, setup);
                    let expired = long_ago && !setup.mistakes.lease_counts_from_the_answer;
                    if let Some(told) = told.as_mut().filter(|_| expired) {
                        told.lease = None;
                    }
                    // Only the life that asked hears the answer.
                    if let Some(told) =
                        told.filter(|_| self.nodes[n].alive && !self.frozen[n] && self.report(n) == *report)
                    {
                        self.nodes[n].hear(told);
                        self.act(n, setup);
                    }
                }
            }
            Event::Act(n) => self.act(n, setup),
            Event::Contact(n) => {
                let streaming = self.streaming(n);
                let node = &mut self.nodes[n];
                let rule = &node.disk.rule;
                if node.alive && node.holds && !rule.is_empty() && rule.is_met_by(&streaming) {
                    node.fence = Fence::Leased;
                }
            }
            Event::Stream(n) => self.stream(n),
            Event::LoseReceiver(n) => {
                if self.starts_to_miss(n) {
                    self.nodes[n].lose_upstream();
                }
            }
            Event::RemoveWal(n) => self.nodes[n].starves = true,
            Event::Read(n, reader) => drop(self.nodes[n].late_readers.remove(&reader)),
            Event::Commit(n) => self.commit(n),
            // The wait ends, and the client does not hear of success (law 1).
            Event::Cancel(n, commit) => {
                self.nodes[n].waiting.retain(|waiting| *waiting != commit);
                if setup.mistakes.cancelled_wait_answers_success {
                    self.acknowledged.insert(commit);
                }
            }
            Event::Crash(n) => {
                if self.nodes[n].stopping {
                    self.sim(n, setup).hand_over();
                } else {
                    self.sim(n, setup).lose_followers();
                }
                self.nodes[n].end();
                if setup.has(Trouble::OldImages) && self.images[n].is_none() {
                    self.images[n] = Some(Box::new(self.nodes[n].disk.clone()));
                }
                self.frozen[n] = false;
                self.drop_answers_to(n);
            }
            Event::Stop(n) => {
                let node = &mut self.nodes[n];
                node.stopping = true;
                (node.fence, node.holds) = (Fence::Lapsed, false);
                if self.in_touch(n) {
                    let report = self.report(n);
                    self.deliver(&report, setup);
                }
            }
            Event::Start(n) => self.start(n, setup),
            Event::PutBack(n) => {
                if let Some(image) = self.images[n].take() {
                    let node = &mut self.nodes[n];
                    (node.disk, node.images) = (*image, node.images + 1);
                }
            }
            Event::Notice(n) => {
                if let Some(node) = self.group.node_mut(id(n)) {
                    if node.session == Session::Up {
                        node.session = Session::Lost;
                    }
                    node.probe = Probe::Refused;
                }
                self.decide(setup);
            }
            Event::LoseSession(n) => {
                if let Some(node) = self.group.node_mut(id(n)).filter(|node| node.session == Session::Up) {
                    node.session = Session::Lost;
                }
                self.decide(setup);
            }
            // What is on its way may still arrive.
            Event::CutMonitor(n) => self.cut[n] = true,
            Event::HealMonitor(n) => self.cut[n] = false,
            Event::Freeze(n) => self.frozen[n] = true,
            Event::Thaw(n) => self.frozen[n] = false,
            Event::CutLink(a, b) => self.links.cut(a, b),
            Event::HealLink(a, b) => self.links.heal(a, b),
            Event::TimePasses => self.time_passes(setup),
            Event::RestartMonitor => self.restart_monitor(),
            Event::RestoreMonitor => {
                self.group = self.copy.clone().expect("a monitor that may be put back");
                self.restart_monitor();
                if !setup.mistakes.restored_monitor_believes_its_copy {
                    resume::await_everybody(&mut self.group, LATER_EPOCH);
                }
            }
            Event::Switchover => self.switch_over(setup),
            Event::StartMaintenance(n) => self.start_maintenance(n, setup),
            Event::StopMaintenance(n) => self.stop_maintenance(n, setup),
            Event::WaitFor(number) => self.wait_for(number, setup),
        }
    }

    pub(super) fn beat(&mut self, n: usize, setup: &Setup) {
        self.drop_answers_to(n);
        let report = self.report(n);
        if let Some(told) = self.deliver(&report, setup) {
            self.nodes[n].hear(told);
        }
    }

    fn act(&mut self, n: usize, setup: &Setup) {
        for _ in 0..MOST_STEPS {
            let counts = nothing_destroyed::counts(self, &self.nodes[n]);
            let length = self.nodes[n].disk.wal.len();
            if !self.sim(n, setup).act() {
                return;
            }
            self.discarded |= counts && self.nodes[n].disk.wal.len() < length;
        }
        panic!("the keeper does not come to rest: {:#?}", self.nodes[n]);
    }

    fn report(&self, n: usize) -> Report {
        self.nodes[n].report(self.followers(n))
    }

    /// The keeper has one connection: an answer to an earlier report is never read after a later one's.
    fn drop_answers_to(&mut self, n: usize) {
        if matches!(self.late, Some(Late::Answer(to, _)) if to == n) {
            self.late = None;
        }
    }

    /// The monitor hears a report, decides, and answers.
    fn deliver(&mut self, report: &Report, setup: &Setup) -> Option<Shared<Assignment>> {
        let believes = setup.mistakes.restored_monitor_believes_its_copy;
        if !self.group.behind && !believes && resume::knows_more(&self.group, report) {
            resume::await_everybody(&mut self.group, LATER_EPOCH);
        }
        self.group.hear(report, Session::Up, NOW);
        if let Some(node) = self.group.node_mut(report.node) {
            node.probe = Probe::Answers;
        }
        self.decide(setup);
        let draft = assignment(&self.group, report.node, &setup.policy, NOW)?;
        if draft.lease.is_some() && self.group.granted_until != RUNNING {
            self.group.granted_until = RUNNING;
        }
        let upstream = draft.upstream.map(|upstream| Upstream {
            peer: Peer { node: upstream.node, host: String::new(), port: 0 },
            term: upstream.term,
            timeline: upstream.timeline,
            fork: upstream.fork,
            rewindable: upstream.rewindable,
            reach: upstream.reach,
        });
        Some(Shared::new(Assignment {
            version: VERSION,
            node: report.node,
            goal: draft.goal,
            term: draft.term,
            lease: draft.lease,
            rule: draft.rule,
            offer: draft.offer,
            upstream,
            // By a log-in alone no WAL moves.
            elected: None,
            peers: Vec::new(),
            incomplete: draft.incomplete,
            epoch: 0,
            succeeds: BTreeSet::new(),
            count_on_from: draft.count_on_from,
            channel: String::new(),
            replication_password: None,
            monitor_password: None,
        }))
    }

    pub(super) fn decide(&mut self, setup: &Setup) {
        self.group = setup.decisions.on(&self.group);
    }

    fn time_passes(&mut self, setup: &Setup) {
        for n in self.places() {
            let in_touch = self.in_touch(n);
            if self.nodes[n].fence == Fence::Leased {
                self.nodes[n].fence = Fence::Lapsed;
            }
            if self.nodes[n].told.as_ref().is_some_and(|told| told.lease.is_some()) {
                self.nodes[n].told.as_mut().expect("it was there").lease = None;
            }
            let alive = self.nodes[n].alive;
            let Some(seen) = self.group.node_mut(id(n)) else { continue };
            (seen.goal_since, seen.receiver_since, seen.probe_since) = (LONG_AGO, LONG_AGO, LONG_AGO);
            if in_touch {
                seen.probe = Probe::Answers;
            } else {
                seen.heard = seen.heard.map(|_| LONG_AGO);
                let answers = alive && self.frozen[n] && !self.cut[n];
                let refuses = !alive && !self.cut[n] && seen.session != Session::Up;
                seen.probe = match (answers, refuses) {
                    (true, _) => Probe::Answers,
                    (false, true) => Probe::Refused,
                    (false, false) => Probe::Silent,
                };
            }
        }
        match &mut self.late {
            Some(Late::Report(_, _, long_ago)) => *long_ago = true,
            Some(Late::Answer(_, told)) if !setup.mistakes.lease_counts_from_the_answer => told.lease = None,
            Some(Late::Answer(..)) | None => {}
        }
        self.group.granted_until = Moment(0);
        self.group.monitor_started = Moment(0);
        self.decide(setup);
    }

    fn restart_monitor(&mut self) {
        self.late = None;
        self.group.monitor_started = NOW;
        self.group.granted_until = RUNNING;
        for node in &mut self.group.nodes {
            node.heard = None;
            node.session = Session::Never;
            node.probe = Probe::Unknown;
            (node.probe_since, node.receiver_since, node.goal_since) = (NOW, NOW, NOW);
        }
    }
}
