//! A monitor, and keepers that do at once what they are told; a scenario says who does not.
use fsm::group::{Group, LostReign, Probe, Session};
use fsm::keeper::accepts_offer;
use fsm::message::{Promotion, Receiver, Report};
use fsm::monitor::assignment::Draft;
use fsm::monitor::operate::{self, Refusal, Removal};
use fsm::monitor::time_outs::RULES_BY_TIME_OUT;
use fsm::monitor::{assignment, decide, resume};
use fsm::policy::Policy;
use fsm::state::State;
use fsm::units::{Lsn, Millis, Moment, NodeId, RuleNumber, Term, Timeline};
use std::collections::{BTreeMap, BTreeSet};

/// What stands on a node.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub alive: bool,
    pub report: Report,
    /// It streams from this one.
    pub upstream: Option<NodeId>,
    accepts: Option<RuleNumber>,
}

/// The scene.
pub struct Scene {
    pub group: Group,
    pub policy: Policy,
    pub now: Moment,
    pub keepers: BTreeMap<NodeId, Keeper>,
    fired: Vec<&'static str>,
    /// Each start has a number of its own.
    lives: u64,
}

impl Scene {
    /// A formation without nodes.
    pub fn new(number_sync_standbys: u32) -> Scene {
        Scene {
            group: Group { number_sync_standbys, ..Group::default() },
            policy: Policy::default(),
            now: Moment(1_000_000),
            keepers: BTreeMap::new(),
            fired: Vec::new(),
            lives: 0,
        }
    }

    /// `n` nodes, settled; node 1 writes. Quorum members, with priority 50.
    pub fn settled(n: i64, number_sync_standbys: u32) -> Scene {
        let mut scene = Scene::new(number_sync_standbys);
        for id in 1..=n {
            scene.register(id, 50, true);
            scene.settle();
        }
        scene.rules();
        scene
    }

    /// A new node, with an empty server.
    pub fn register(&mut self, id: i64, priority: u8, quorum: bool) {
        let id = NodeId(id);
        operate::register(&mut self.group, id, priority, quorum, &self.policy, self.now)
            .expect("a group that takes a node");
        self.lives += 1;
        let report = Report {
            lsn: Some(Lsn(100)),
            timeline: Timeline(1),
            boot: 1,
            life: self.lives,
            ..Report::of(id, State::Init)
        };
        self.keepers.insert(id, Keeper { alive: true, report, upstream: None, accepts: None });
    }

    /// The rules that fired since it was asked last.
    pub fn rules(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.fired)
    }

    /// The monitor looks, as after each report and probe.
    pub fn look(&mut self) {
        for _ in 0..50 {
            match decide(&self.group, &self.policy, self.now) {
                Some(decision) => {
                    self.fired.push(decision.rule);
                    self.group = decision.group;
                    self.remember(decision.rule);
                }
                None => return,
            }
        }
        panic!("the rules do not come to rest: {:?}", self.fired);
    }

    /// The history of failovers is kept by whoever has the group evaluated.
    fn remember(&mut self, rule: &str) {
        let writer = self.group.reign().map(|reign| reign.writer);
        let lost = writer.filter(|_| RULES_BY_TIME_OUT.contains(&rule));
        self.group.lost_reigns.extend(lost.map(|writer| LostReign { writer, at: self.now }));
    }

    /// Everybody who lives reports and obeys, until nothing changes.
    pub fn settle(&mut self) {
        for _ in 0..20 {
            let before = self.group.clone();
            for id in self.keepers.keys().copied().collect::<Vec<_>>() {
                self.tick(id.0);
            }
            if self.group == before {
                return;
            }
        }
        panic!("the group does not come to rest: {:?}", self.fired);
    }

    /// One keeper reports, hears and obeys, and says that it has.
    pub fn tick(&mut self, id: i64) {
        for _ in 0..2 {
            self.report(id);
            self.step(id);
        }
        self.report(id);
    }

    /// One keeper reports, if it lives.
    pub fn report(&mut self, id: i64) {
        let id = NodeId(id);
        let followers = self.followers(id);
        let Some(keeper) = self.keepers.get_mut(&id).filter(|keeper| keeper.alive) else { return };
        keeper.report.followers = followers;
        keeper.report.accepts = keeper.accepts;
        let report = keeper.report.clone();
        if !self.group.behind && resume::knows_more(&self.group, &report) {
            let epoch = self.group.epoch + 1;
            resume::await_everybody(&mut self.group, epoch);
        }
        self.group.hear(&report, Session::Up, self.now);
        if let Some(node) = self.group.node_mut(id) {
            let met = if report.stuck { Probe::Silent } else { Probe::Answers };
            if node.probe != met {
                (node.probe, node.probe_since) = (met, self.now);
            }
        }
        self.look();
    }

    fn followers(&self, id: NodeId) -> BTreeSet<NodeId> {
        let streams = |keeper: &&Keeper| keeper.alive && keeper.report.receiver == Receiver::Streaming;
        self.keepers
            .values()
            .filter(streams)
            .filter(|k| k.upstream == Some(id))
            .map(|k| k.report.node)
            .collect()
    }

    /// What a node is told now.
    pub fn assignment(&self, id: i64) -> Option<Draft> {
        assignment(&self.group, NodeId(id), &self.policy, self.now)
    }

    /// One keeper does what it is told.
    pub fn step(&mut self, id: i64) {
        let Some(told) = self.assignment(id) else { return };
        let id = NodeId(id);
        if told.incomplete {
            return;
        }
        if told.lease.is_some() {
            self.group.granted_until = self.now.plus(self.policy.lease).plus(self.policy.margin);
        }
        let upstream = told.upstream.as_ref().map(|upstream| upstream.node);
        let source = upstream.and_then(|node| self.keepers.get(&node)).filter(|source| source.alive).cloned();
        let followers = self.followers(id);
        let others = self.group.nodes.iter().map(|node| node.id).filter(|node| *node != id).collect();
        let covered = told.rule.is_met_by(&followers);
        let Some(keeper) = self.keepers.get_mut(&id).filter(|keeper| keeper.alive) else { return };
        let report = &mut keeper.report;
        if told.goal.writes() && report.rule != told.rule.number && !covered {
            return;
        }
        // An offer changes no rule: the one in force comes with it.
        keeper.accepts = told.offer.filter(|_| accepts_offer(&told.rule, &followers));
        report.term = told.term;
        report.named = others;
        report.boot = told.count_on_from.map_or(report.boot, |from| report.boot.max(from + 1));
        report.in_recovery = !told.goal.writes() && told.goal != State::PreparePromotion;
        report.fenced = !told.goal.writes();
        if told.goal.has_upstream() || told.goal == State::FastForward {
            let (Some(source), Some(upstream)) = (source, told.upstream) else {
                if told.goal == State::Maintenance {
                    report.state = told.goal;
                }
                return;
            };
            report.lsn = upstream.reach.or(source.report.lsn);
            report.timeline = upstream.timeline;
            report.history = upstream.term;
            report.promotion = None;
            report.receiver = Receiver::Streaming;
            keeper.upstream = Some(upstream.node);
        }
        if matches!(told.goal, State::ReportLsn | State::FastForward | State::Demoted) {
            report.receiver = if report.receiver == Receiver::None { Receiver::None } else { Receiver::Lost };
            keeper.upstream = None;
        }
        if told.goal == State::ReportLsn {
            report.pledge = told.term;
        }
        if told.goal == State::PreparePromotion && report.promotion.is_none_or(|made| made.term != told.term)
        {
            let end = report.lsn.expect("a candidate knows its end of WAL");
            report.timeline = Timeline(report.timeline.0 + 1);
            report.promotion =
                Some(Promotion { term: told.term, timeline: report.timeline, switch_lsn: end });
            report.lsn = Some(Lsn(end.0 + 1));
        }
        if told.goal.writes() {
            report.history = report.promotion.map_or(told.term.min(Term(1)), |made| made.term);
            report.checkpoint_timeline = report.timeline;
            (report.receiver, keeper.upstream) = (Receiver::None, None);
        }
        if told.goal.writes() || told.goal == State::PreparePromotion {
            (report.rule, report.in_force) = (told.rule.number, Some(told.rule.clone()));
        }
        report.state = told.goal;
    }

    /// Every process of the node dies; kernels say so. Its standbys lose their receivers.
    pub fn kill(&mut self, id: i64) {
        let id = NodeId(id);
        self.keeper(id.0).alive = false;
        for keeper in self.keepers.values_mut().filter(|keeper| keeper.upstream == Some(id)) {
            keeper.report.receiver = Receiver::Lost;
        }
        if let Some(node) = self.group.node_mut(id) {
            (node.session, node.probe) = (Session::Lost, Probe::Refused);
        }
        self.look();
    }

    /// It starts again: the boot guard makes it a standby.
    pub fn start(&mut self, id: i64) {
        self.lives += 1;
        let life = self.lives;
        let keeper = self.keeper(id);
        keeper.alive = true;
        keeper.accepts = None;
        let report = &mut keeper.report;
        (report.boot, report.life) = (report.boot + 1, life);
        if report.state.writes() || report.state == State::PreparePromotion {
            report.state = State::Demoted;
        }
        (report.in_recovery, report.fenced, report.leaving) = (true, true, false);
        if report.receiver == Receiver::Lost {
            report.receiver = Receiver::None;
        }
    }

    /// An image of its disk is put in the place of the disk that it has now, and it starts.
    pub fn start_from(&mut self, id: i64, image: Keeper) {
        *self.keeper(id) = image;
        self.start(id);
    }

    /// The link to the monitor is cut: its probes are not answered.
    pub fn silence(&mut self, id: i64) {
        self.keeper(id).alive = false;
        if let Some(node) = self.group.node_mut(NodeId(id)) {
            node.probe = Probe::Silent;
        }
    }

    /// The cable of a node is pulled.
    pub fn unplug(&mut self, id: i64) {
        self.silence(id);
        for keeper in self.keepers.values_mut().filter(|keeper| keeper.upstream == Some(NodeId(id))) {
            keeper.report.receiver = Receiver::Lost;
        }
    }

    /// It is put back.
    pub fn plug(&mut self, id: i64) {
        self.keeper(id).alive = true;
        self.settle();
    }

    /// Time goes by. Who lives reports each second.
    pub fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.plus(Millis(1000));
            for id in self.keepers.keys().copied().collect::<Vec<_>>() {
                self.report(id.0);
            }
            self.look();
        }
    }

    /// A keeper, to change what it says.
    pub fn keeper(&mut self, id: i64) -> &mut Keeper {
        self.keepers.get_mut(&NodeId(id)).expect("a node of the scene")
    }

    /// The goals, by node.
    pub fn goals(&self) -> Vec<State> {
        self.group.nodes.iter().map(|node| node.goal).collect()
    }

    /// The members of the confirmed rule.
    pub fn members(&self) -> Vec<i64> {
        self.group.rule.members.iter().map(|node| node.0).collect()
    }

    /// An operator asks for a switchover.
    pub fn switch_over(&mut self) {
        operate::perform_failover(&mut self.group, &self.policy, self.now)
            .expect("a group that can switch over");
        self.look();
    }

    /// An operator removes a node.
    pub fn remove(&mut self, id: i64) -> Removal {
        let removal = operate::remove(&mut self.group, NodeId(id), false, &self.policy, self.now);
        self.look();
        removal.expect("a node that can be removed")
    }

    /// An operator wants a standby's server for himself.
    pub fn start_maintenance(&mut self, id: i64) -> Result<(), Refusal> {
        let answer = operate::start_maintenance(&mut self.group, NodeId(id), &self.policy, self.now);
        self.look();
        answer
    }

    /// He gives it back.
    pub fn stop_maintenance(&mut self, id: i64) {
        operate::stop_maintenance(&mut self.group, NodeId(id), self.now).expect("a node of the group");
        self.look();
    }

    /// What a monitor that was started from an old copy of its directory remembers. It knows by itself that the copy is old, or not.
    pub fn restore_monitor(&mut self, copy: Group, knows: bool) {
        self.group = copy;
        self.restart_monitor();
        if knows {
            let epoch = self.group.epoch + 1;
            resume::await_everybody(&mut self.group, epoch);
        }
    }

    /// The monitor starts anew, and remembers rows only.
    pub fn restart_monitor(&mut self) {
        self.group.monitor_started = self.now;
        self.group.granted_until = self.now.plus(self.policy.lease).plus(self.policy.margin);
        for node in &mut self.group.nodes {
            (node.heard, node.session, node.probe) = (None, Session::Never, Probe::Unknown);
            (node.receiver_since, node.probe_since, node.goal_since) = (self.now, self.now, self.now);
        }
    }
}
