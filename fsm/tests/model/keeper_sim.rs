//! One node: its server and its keeper, done one step at a time so that a crash can fall between any two.
//!
//! Which action comes next is the real `fsm::keeper::plan`; what an action does to the server is told here, as
//! `ext-keeper` does it.
use fsm::keeper::{Action, Method, Step, accepts, accepts_offer, plan, rejoin};
use fsm::message::{Assignment, Promotion, Receiver, Report};
use fsm::rule::Rule;
use fsm::state::State;
use fsm::units::{Lsn, NodeId, Term, Timeline};
use std::collections::BTreeSet;

/// One record of WAL. Two nodes have the same history up to where their records are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// A client's commit.
    Commit(u8),
    /// The first record of a timeline, and the node that promoted.
    Promoted(NodeId, Term),
}

/// The commit fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fence {
    Lapsed,
    Leased,
    Unleased,
}

/// Known mistakes, to be put back by a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mistakes {
    pub winner_writes_before_it_is_recorded: bool,
    pub winner_notes_its_promotion_afterwards: bool,
    pub pledge_leaves_the_receiver: bool,
    pub offer_is_taken_unasked: bool,
    pub lease_counts_from_the_answer: bool,
    pub start_opens_the_fence: bool,
    pub restored_monitor_believes_its_copy: bool,
}

/// What survives a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    pub role: State,
    pub term: Term,
    pub pledge: Term,
    pub history: Term,
    pub unleased: bool,
    pub promotion: Option<Promotion>,
    /// In force and covered.
    pub rule: Rule,
    /// `synchronous_standby_names`.
    pub names: Rule,
    /// `primary_conninfo`.
    pub upstream: Option<NodeId>,
    pub checkpoint: Timeline,
    pub wal: Vec<Record>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub id: NodeId,
    pub disk: Disk,
    pub alive: bool,
    pub in_recovery: bool,
    pub stopping: bool,
    pub fence: Fence,
    /// Contact with the members keeps the lease.
    pub holds: bool,
    pub receiver: Receiver,
    pub told: Option<Assignment>,
    /// Commits whose clients wait for an answer.
    pub waiting: Vec<u8>,
}

/// What became of an attempt to do an action.
enum Outcome {
    Done,
    Changed,
    Waits,
}

impl Node {
    /// A server just made, with its keeper in it.
    pub fn new(id: NodeId, in_recovery: bool) -> Node {
        let disk = Disk {
            role: State::Init,
            term: Term(0),
            pledge: Term(0),
            history: Term(0),
            unleased: false,
            promotion: None,
            rule: Rule::default(),
            names: Rule::default(),
            upstream: None,
            checkpoint: Timeline(1),
            wal: Vec::new(),
        };
        Node {
            id,
            disk,
            alive: true,
            in_recovery,
            stopping: false,
            fence: Fence::Lapsed,
            holds: false,
            receiver: Receiver::None,
            told: None,
            waiting: Vec::new(),
        }
    }

    /// The end of WAL.
    pub fn lsn(&self) -> Lsn {
        Lsn(self.disk.wal.len() as u64 + 1)
    }

    fn timeline(&self) -> Timeline {
        let promotions = self.disk.wal.iter().filter(|record| matches!(record, Record::Promoted(..))).count();
        Timeline(promotions as u32 + 1)
    }

    /// A commit gets past the fence.
    pub fn commits(&self) -> bool {
        self.alive && !self.stopping && !self.in_recovery && self.fence != Fence::Lapsed
    }

    pub fn has(&self, commit: u8) -> bool {
        self.disk.wal.contains(&Record::Commit(commit))
    }

    /// The life ends: what was only in memory is gone.
    pub fn end(&mut self) {
        self.alive = false;
        self.stopping = false;
        self.fence = Fence::Lapsed;
        self.holds = false;
        self.receiver = Receiver::None;
        self.told = None;
        self.waiting.clear();
    }

    /// A life begins; the boot guard has made it a standby, or a token a writer.
    pub fn boot(&mut self, as_writer: bool, mistakes: Mistakes) {
        let wrote = self.disk.role.writes();
        self.end();
        self.alive = true;
        self.in_recovery = !as_writer;
        if mistakes.start_opens_the_fence && wrote {
            self.in_recovery = false;
            self.fence = Fence::Unleased;
            return;
        }
        if wrote || matches!(self.disk.role, State::Draining | State::PreparePromotion) {
            self.disk.role = State::Demoted;
        }
    }

    /// What the keeper sees and says.
    pub fn report(&self, followers: BTreeSet<NodeId>) -> Report {
        let offer = self.told.as_ref().and_then(|told| told.offer);
        let accepts = self.disk.role == State::Primary && accepts_offer(&self.disk.rule, &followers);
        Report {
            term: self.disk.term,
            pledge: self.disk.pledge,
            history: self.disk.history,
            timeline: self.timeline(),
            lsn: Some(self.lsn()),
            promotion: self.disk.promotion,
            rule: self.disk.rule.number,
            in_force: Some(self.disk.rule.clone()),
            accepts: offer.filter(|_| accepts),
            checkpoint_timeline: self.disk.checkpoint,
            receiver: self.receiver,
            followers,
            in_recovery: self.in_recovery,
            fenced: self.fence == Fence::Lapsed,
            leaving: self.stopping,
            ..Report::of(self.id, self.disk.role)
        }
    }

    /// An answer has come.
    pub fn hear(&mut self, told: Assignment) {
        if self.stopping || told.incomplete || !accepts(self.disk.term, &told) {
            return;
        }
        self.disk.term = told.term;
        self.told = Some(told);
    }

    /// The receiver is no longer there.
    pub fn lose_upstream(&mut self) {
        if self.receiver == Receiver::Streaming {
            self.receiver = Receiver::Lost;
        }
    }
}

/// The members that get the WAL of node `n` and whose replies arrive.
pub fn streaming(nodes: &[Node; 2], n: usize, linked: bool) -> BTreeSet<NodeId> {
    let (me, other) = (&nodes[n], &nodes[1 - n]);
    let streams = me.alive
        && other.alive
        && linked
        && other.receiver == Receiver::Streaming
        && other.disk.upstream == Some(me.id);
    streams.then_some(other.id).into_iter().collect()
}

/// The server and the keeper of node `n`, among the others.
pub struct Sim<'a> {
    pub nodes: &'a mut [Node; 2],
    pub n: usize,
    pub linked: bool,
    pub mistakes: Mistakes,
}

impl Sim<'_> {
    fn me(&mut self) -> &mut Node {
        &mut self.nodes[self.n]
    }

    fn other(&self) -> &Node {
        &self.nodes[1 - self.n]
    }

    fn streaming(&self) -> BTreeSet<NodeId> {
        streaming(self.nodes, self.n, self.linked)
    }

    /// Does the next thing that is to be done. False: there is nothing, or it cannot be done yet.
    pub fn act(&mut self) -> bool {
        let me = &self.nodes[self.n];
        let Some(told) = me.told.clone().filter(|_| me.alive && !me.stopping) else { return false };
        if let Some(number) = told.offer.filter(|_| self.mistakes.offer_is_taken_unasked) {
            let me = self.me();
            (me.disk.names, me.fence) = (Rule { number, ..Rule::default() }, Fence::Unleased);
            return false;
        }
        let actions = match plan(me.disk.role, told.goal) {
            Step::Go { actions, .. } => actions,
            Step::NoWay { from, to } => panic!("the keeper knows no way from {from} to {to}"),
        };
        for action in actions {
            match self.run(*action, &told) {
                Outcome::Done => {}
                Outcome::Changed => return true,
                Outcome::Waits => return false,
            }
        }
        let reached = self.me().disk.role != told.goal;
        self.me().disk.role = told.goal;
        reached
    }

    fn run(&mut self, action: Action, told: &Assignment) -> Outcome {
        match action {
            Action::RaiseFence => self.change(|me| {
                (me.fence, me.holds, me.disk.unleased) = (Fence::Lapsed, false, false);
            }),
            // The report that follows says it: a fence is up, a server is not in recovery yet.
            Action::SayGoodbye | Action::EnsureAccounts | Action::EnsureSlots => Outcome::Done,
            Action::RestartAsStandby => self.restart(false),
            Action::BecomeWriter => self.restart(true),
            Action::ApplyRule => self.apply_rule(told),
            Action::EnterUnleased => self.change(|me| {
                me.recorded(told.term);
                (me.fence, me.holds, me.disk.unleased) = (Fence::Unleased, false, true);
            }),
            Action::EnterLeased => self.enter_leased(told),
            Action::Pledge => self.pledge(told),
            Action::Promote => self.promote(told),
            Action::Checkpoint => self.change(|me| me.disk.checkpoint = me.timeline()),
            Action::Rejoin => self.rejoin(told),
            Action::FollowAsItIs => self.follow_as_it_is(told),
            Action::FetchMissing => unreachable!("with two nodes the one with most WAL wins"),
            Action::CutOff => self.change(Node::cut_off),
            Action::LeaveGroup => self.change(|me| (me.fence, me.holds) = (Fence::Lapsed, false)),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Node)) -> Outcome {
        let before = self.me().clone();
        change(self.me());
        if *self.me() == before { Outcome::Done } else { Outcome::Changed }
    }

    /// In place. A fast shutdown sends the last WAL to whoever streams.
    fn restart(&mut self, as_writer: bool) -> Outcome {
        if self.me().in_recovery != as_writer {
            return Outcome::Done;
        }
        if as_writer {
            self.lose_followers();
        } else {
            self.hand_over();
        }
        let mistakes = Mistakes { start_opens_the_fence: false, ..self.mistakes };
        self.me().boot(as_writer, mistakes);
        Outcome::Changed
    }

    /// The server goes down in good order.
    pub fn hand_over(&mut self) {
        if !self.streaming().is_empty() {
            self.nodes[1 - self.n].disk.wal = self.nodes[self.n].disk.wal.clone();
        }
        self.lose_followers();
    }

    /// Whoever streams from this node sees the connection end.
    pub fn lose_followers(&mut self) {
        let id = self.me().id;
        let other = &mut self.nodes[1 - self.n];
        if self.linked && other.disk.upstream == Some(id) {
            other.lose_upstream();
        }
    }

    fn apply_rule(&mut self, told: &Assignment) -> Outcome {
        if self.me().disk.names != told.rule {
            self.me().disk.names = told.rule.clone();
            return Outcome::Changed;
        }
        let everything = self.me().disk.wal.len();
        let holders: BTreeSet<NodeId> =
            self.streaming().into_iter().filter(|_| self.other().disk.wal.len() >= everything).collect();
        let me = self.me();
        let waits = told.goal != State::PreparePromotion && !me.in_recovery && !told.rule.is_met_by(&holders);
        if me.disk.rule != told.rule && waits {
            return Outcome::Waits;
        }
        self.change(|me| me.disk.rule = told.rule.clone())
    }

    fn enter_leased(&mut self, told: &Assignment) -> Outcome {
        let me = self.me();
        let was_unleased = me.fence == Fence::Unleased;
        let before = me.clone();
        me.disk.unleased = false;
        me.recorded(told.term);
        if told.lease.is_some() {
            (me.fence, me.holds) = (Fence::Leased, true);
        } else if was_unleased || me.disk.role != State::Primary {
            me.fence = if was_unleased { Fence::Lapsed } else { me.fence };
            return if *me == before { Outcome::Waits } else { Outcome::Changed };
        } else {
            me.holds = true;
        }
        if *me == before { Outcome::Done } else { Outcome::Changed }
    }

    fn pledge(&mut self, told: &Assignment) -> Outcome {
        let leaves_receiver = self.mistakes.pledge_leaves_the_receiver;
        self.change(|me| {
            me.disk.pledge = me.disk.pledge.max(told.term);
            if !leaves_receiver {
                me.cut_off();
            }
        })
    }

    fn promote(&mut self, told: &Assignment) -> Outcome {
        let early = self.mistakes.winner_writes_before_it_is_recorded;
        let afterwards = self.mistakes.winner_notes_its_promotion_afterwards;
        let me = self.me();
        let noted = me.disk.promotion.filter(|promotion| promotion.term == told.term);
        if noted.is_some_and(|promotion| promotion.switch_lsn > Lsn(0)) {
            return Outcome::Done;
        }
        if me.disk.pledge != told.term {
            return Outcome::Waits;
        }
        // Durably before it happens: a crash in the middle must not leave a history that nobody knows of.
        if noted.is_none() && !afterwards {
            me.disk.promotion =
                Some(Promotion { term: told.term, timeline: me.timeline(), switch_lsn: Lsn(0) });
            return Outcome::Changed;
        }
        if me.in_recovery && noted.is_none_or(|promotion| promotion.timeline == me.timeline()) {
            me.in_recovery = false;
            me.disk.wal.push(Record::Promoted(me.id, told.term));
            if early {
                me.fence = Fence::Leased;
            }
            return Outcome::Changed;
        }
        let switch_lsn = Lsn(me.lsn().0 - 1);
        me.disk.promotion = Some(Promotion { term: told.term, timeline: me.timeline(), switch_lsn });
        Outcome::Changed
    }

    fn follow_as_it_is(&mut self, told: &Assignment) -> Outcome {
        let Some(upstream) = told.upstream.clone() else { return Outcome::Done };
        let me = self.me();
        if !me.in_recovery
            || rejoin(Some((me.lsn(), me.timeline())), me.disk.history, &upstream) != Method::Follow
        {
            return Outcome::Done;
        }
        self.change(|me| {
            me.disk.upstream = Some(upstream.peer.node);
            me.disk.history = upstream.term;
            me.disk.promotion = None;
        })
    }

    fn rejoin(&mut self, told: &Assignment) -> Outcome {
        let Some(upstream) = told.upstream.clone() else { return Outcome::Waits };
        let node = upstream.peer.node;
        let me = self.me();
        if me.disk.upstream == Some(node) && me.disk.history == upstream.term && me.disk.promotion.is_none() {
            return Outcome::Done;
        }
        match rejoin(Some((me.lsn(), me.timeline())), me.disk.history, &upstream) {
            Method::Wait => return Outcome::Waits,
            Method::Follow => {}
            Method::Rewind | Method::Clone => {
                let source = self.other();
                if !source.alive || source.in_recovery || !self.linked {
                    return Outcome::Waits;
                }
                let wal = source.disk.wal.clone();
                self.me().boot(false, Mistakes::default());
                self.me().disk.wal = wal;
            }
        }
        let me = self.me();
        me.disk.upstream = Some(node);
        me.disk.history = upstream.term;
        me.disk.promotion = None;
        Outcome::Changed
    }
}

impl Node {
    fn recorded(&mut self, term: Term) {
        self.disk.upstream = None;
        match self.disk.promotion {
            Some(promotion) => self.disk.history = promotion.term,
            None if self.disk.history == Term(0) => self.disk.history = term,
            None => {}
        }
    }

    fn cut_off(&mut self) {
        self.disk.upstream = None;
        self.lose_upstream();
    }
}
