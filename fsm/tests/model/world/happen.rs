//! What each event does to the world.
use super::{Event, ID, LONG_AGO, Late, Laws, MOST_STEPS, NOW, RUNNING, World};
use crate::keeper_sim::{Fence, Record, streaming};
use fsm::group::{Probe, Session};
use fsm::message::{Assignment, Peer, Receiver, Report, Upstream, VERSION};
use fsm::monitor::{assignment, decide_by, operate, resume};
use fsm::state::State;
use fsm::units::{Moment, NodeId};
use std::collections::BTreeSet;

/// Of a monitor that was put back.
pub const LATER_EPOCH: u64 = 1;

impl World {
    pub fn happen(&mut self, event: &Event, laws: &Laws) {
        match *event {
            Event::Tick(n) => {
                self.beat(n, laws);
                self.act(n, laws);
            }
            Event::Die(..) => {}
            Event::LoseAnswer(n) => {
                self.drop_answers_to(n);
                let report = self.report(n);
                self.deliver(&report, laws);
            }
            Event::DelayAnswer(n) => {
                let report = self.report(n);
                self.late = self.deliver(&report, laws).map(|told| Late::Answer(n, Box::new(told)));
            }
            Event::TakeAnswer => {
                if let Some(Late::Answer(n, told)) = self.late.take() {
                    self.nodes[n].hear(*told);
                    self.act(n, laws);
                }
            }
            Event::DelayReport(n) => self.late = Some(Late::Report(n, Box::new(self.report(n)), false)),
            Event::TakeReport => {
                if let Some(Late::Report(n, report, long_ago)) = self.late.take() {
                    let told = self.deliver(&report, laws);
                    let expired = long_ago && !laws.mistakes.lease_counts_from_the_answer;
                    let told = told.map(|told| Assignment { lease: told.lease.filter(|_| !expired), ..told });
                    // Only the life that asked hears the answer.
                    if let Some(told) =
                        told.filter(|_| self.nodes[n].alive && !self.frozen[n] && self.report(n) == *report)
                    {
                        self.nodes[n].hear(told);
                        self.act(n, laws);
                    }
                }
            }
            Event::Act(n) => self.act(n, laws),
            Event::Contact(n) => {
                let streaming = streaming(&self.nodes, n, self.linked);
                let node = &mut self.nodes[n];
                let rule = &node.disk.rule;
                if node.alive && node.holds && !rule.is_empty() && rule.is_met_by(&streaming) {
                    node.fence = Fence::Leased;
                }
            }
            Event::Stream(n) => self.stream(n),
            Event::LoseReceiver(n) => {
                if !self.linked {
                    self.nodes[n].lose_upstream();
                }
            }
            Event::Commit(n) => self.commit(n),
            Event::Acknowledge(n, commit) => self.acknowledge(n, commit),
            Event::Crash(n) => {
                if self.nodes[n].stopping {
                    self.sim(n, laws).hand_over();
                } else {
                    self.sim(n, laws).lose_followers();
                }
                self.nodes[n].end();
                self.frozen[n] = false;
                self.drop_answers_to(n);
            }
            Event::Stop(n) => {
                let node = &mut self.nodes[n];
                node.stopping = true;
                (node.fence, node.holds, node.disk.unleased) = (Fence::Lapsed, false, false);
                if self.in_touch(n) {
                    let report = self.report(n);
                    self.deliver(&report, laws);
                }
            }
            Event::Start(n) => self.nodes[n].boot(false, laws.mistakes),
            Event::Notice(n) => {
                if let Some(node) = self.group.node_mut(ID[n]) {
                    if node.session == Session::Up {
                        node.session = Session::Lost;
                    }
                    node.probe = Probe::Refused;
                }
                self.decide(laws);
            }
            Event::LoseSession(n) => {
                if let Some(node) = self.group.node_mut(ID[n]).filter(|node| node.session == Session::Up) {
                    node.session = Session::Lost;
                }
                self.decide(laws);
            }
            // What is on its way may still arrive.
            Event::CutMonitor(n) => self.cut[n] = true,
            Event::HealMonitor(n) => self.cut[n] = false,
            Event::Freeze(n) => self.frozen[n] = true,
            Event::Thaw(n) => self.frozen[n] = false,
            Event::CutLink => self.linked = false,
            Event::HealLink => self.linked = true,
            Event::TimePasses => self.time_passes(laws),
            Event::RestartMonitor => self.restart_monitor(),
            Event::RestoreMonitor => {
                self.group = laws.copy.get().expect("a pair was born").clone();
                self.restart_monitor();
                if !laws.mistakes.restored_monitor_believes_its_copy {
                    resume::await_everybody(&mut self.group, LATER_EPOCH);
                }
            }
            Event::Switchover => {
                let mut group = self.group.clone();
                if operate::perform_failover(&mut group, &laws.policy, NOW).is_ok() {
                    self.group = group;
                    self.decide(laws);
                }
            }
            Event::StartMaintenance(n) => {
                let mut group = self.group.clone();
                if operate::start_maintenance(&mut group, ID[n], &laws.policy, NOW).is_ok() {
                    self.group = group;
                    self.maintenances -= 1;
                    self.decide(laws);
                }
            }
            Event::StopMaintenance(n) => {
                operate::stop_maintenance(&mut self.group, ID[n], NOW).expect("a node of the group");
                self.decide(laws);
            }
        }
    }

    pub fn beat(&mut self, n: usize, laws: &Laws) {
        self.drop_answers_to(n);
        let report = self.report(n);
        if let Some(told) = self.deliver(&report, laws) {
            self.nodes[n].hear(told);
        }
    }

    fn act(&mut self, n: usize, laws: &Laws) {
        for _ in 0..MOST_STEPS {
            if !self.sim(n, laws).act() {
                return;
            }
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
    fn deliver(&mut self, report: &Report, laws: &Laws) -> Option<Assignment> {
        let believes = laws.mistakes.restored_monitor_believes_its_copy;
        if !self.group.behind && !believes && resume::knows_more(&self.group, report) {
            resume::await_everybody(&mut self.group, LATER_EPOCH);
        }
        self.group.hear(report, Session::Up, NOW);
        if let Some(node) = self.group.node_mut(report.node) {
            node.probe = Probe::Answers;
        }
        self.decide(laws);
        let draft = assignment(&self.group, report.node, &laws.policy, NOW)?;
        if draft.lease.is_some() {
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
        Some(Assignment {
            version: VERSION,
            node: report.node,
            goal: draft.goal,
            term: draft.term,
            lease: draft.lease,
            rule: draft.rule,
            offer: draft.offer,
            upstream,
            peers: Vec::new(),
            incomplete: draft.incomplete,
            epoch: 0,
            succeeds: BTreeSet::new(),
            count_on_from: None,
            channel: String::new(),
            replication_password: None,
            monitor_password: None,
        })
    }

    fn decide(&mut self, laws: &Laws) {
        for _ in 0..20 {
            match decide_by(&laws.rules, &self.group, &laws.policy, NOW) {
                Some(decision) => {
                    self.group = decision.group;
                }
                None => {
                    self.forget_what_no_rule_reads();
                    return;
                }
            }
        }
        panic!("the rules do not come to rest: {:#?}", self.group);
    }

    /// Keeps the number of states small.
    fn forget_what_no_rule_reads(&mut self) {
        for node in &mut self.group.nodes {
            if !matches!(node.goal, State::Draining | State::ReportLsn) {
                node.goal_since = NOW;
            }
            node.probe_since = NOW;
            if node.receiver == Receiver::Streaming {
                node.receiver_since = NOW;
            }
        }
    }

    fn stream(&mut self, n: usize) {
        let source = &self.nodes[1 - n];
        let me = &self.nodes[n];
        let wanted = me.alive && me.in_recovery && me.disk.upstream == Some(source.id);
        if !wanted || !source.alive || source.stopping || !self.linked {
            return;
        }
        self.mixed_histories |= !source.disk.wal.starts_with(&me.disk.wal);
        let next = source.disk.wal.get(me.disk.wal.len()).copied();
        let me = &mut self.nodes[n];
        match me.receiver {
            Receiver::Streaming => me.disk.wal.extend(next),
            Receiver::None | Receiver::Lost => me.receiver = Receiver::Streaming,
        }
    }

    fn commit(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        if !node.commits() {
            return;
        }
        self.commits += 1;
        node.disk.wal.push(Record::Commit(self.commits));
        if node.disk.names.is_empty() {
            self.acknowledged.insert(self.commits);
        } else {
            node.waiting.push(self.commits);
        }
    }

    fn acknowledge(&mut self, n: usize, commit: u8) {
        let streaming = streaming(&self.nodes, n, self.linked);
        let holders: BTreeSet<NodeId> =
            streaming.into_iter().filter(|_| self.nodes[1 - n].has(commit)).collect();
        if self.nodes[n].disk.names.is_met_by(&holders) {
            self.nodes[n].waiting.retain(|waiting| *waiting != commit);
            self.acknowledged.insert(commit);
        }
    }

    fn time_passes(&mut self, laws: &Laws) {
        for (n, id) in ID.into_iter().enumerate() {
            let in_touch = self.in_touch(n);
            let node = &mut self.nodes[n];
            if node.fence == Fence::Leased {
                node.fence = Fence::Lapsed;
            }
            if let Some(told) = &mut node.told {
                told.lease = None;
            }
            let alive = node.alive;
            let Some(seen) = self.group.node_mut(id) else { continue };
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
            Some(Late::Answer(_, told)) if !laws.mistakes.lease_counts_from_the_answer => told.lease = None,
            Some(Late::Answer(..)) | None => {}
        }
        self.group.granted_until = Moment(0);
        self.group.monitor_started = Moment(0);
        self.decide(laws);
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
