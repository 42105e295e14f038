//! One node as it is: what survives a crash of it, and what does not.
use crate::keeper_sim::Mistakes;
use crate::shared::Shared;
use fsm::keeper::{Method, accepts, accepts_offer, rejoin};
use fsm::message::{Assignment, Promotion, Receiver, Report, Upstream};
use fsm::rule::Rule;
use fsm::state::State;
use fsm::units::{Lsn, NodeId, Term, Timeline};
use std::collections::{BTreeMap, BTreeSet};

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

/// A process of a server that reads the configuration when it comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    /// Says for all whether a commit waits at all.
    Checkpointer,
    /// Serves that standby, and lets those go who wait, by the names that it has read.
    Walsender(NodeId),
}

/// A copy under way: nothing of what is in the directory is this node's WAL any more, or yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Copying {
    pub source: NodeId,
    /// The reign whose history the source is said to carry.
    pub term: Term,
}

/// What survives a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    pub role: State,
    pub term: Term,
    pub pledge: Term,
    pub history: Term,
    pub promotion: Option<Promotion>,
    /// In force and covered.
    pub rule: Rule,
    /// `synchronous_standby_names`.
    pub names: Rule,
    /// `primary_conninfo`.
    pub upstream: Option<NodeId>,
    pub checkpoint: Timeline,
    pub wal: Vec<Record>,
    pub copying: Option<Copying>,
    /// There are slots for the peers, without which nobody follows.
    pub slots: bool,
    /// How often it was started. 0: where no old image can come back it would tell too many situations apart.
    pub boots: u64,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub id: NodeId,
    pub disk: Disk,
    /// How often its disk was replaced by an old image.
    pub images: u64,
    /// The random number of its present start: no other start has it.
    pub life: u64,
    pub alive: bool,
    pub in_recovery: bool,
    pub stopping: bool,
    pub fence: Fence,
    /// Contact with the members keeps the lease.
    pub holds: bool,
    pub receiver: Receiver,
    /// Its upstream has removed the WAL that it needs next.
    pub starves: bool,
    /// It got WAL that does not continue its own.
    pub mixed_histories: bool,
    pub told: Option<Shared<Assignment>>,
    /// Commits whose clients wait for an answer.
    pub waiting: Vec<u8>,
    /// Who still goes by an earlier rule than `disk.names`, and by which.
    pub late_readers: BTreeMap<Reader, Rule>,
}

impl Node {
    /// A server just made, with its keeper in it.
    pub fn new(id: NodeId, in_recovery: bool, boots: u64) -> Node {
        let disk = Disk {
            role: State::Init,
            term: Term(0),
            pledge: Term(0),
            history: Term(0),
            promotion: None,
            rule: Rule::default(),
            names: Rule::default(),
            upstream: None,
            checkpoint: Timeline(1),
            wal: Vec::new(),
            copying: None,
            slots: false,
            boots,
        };
        Node {
            id,
            disk,
            images: 0,
            life: 100 * boots,
            alive: true,
            in_recovery,
            stopping: false,
            fence: Fence::Lapsed,
            holds: false,
            receiver: Receiver::None,
            starves: false,
            mixed_histories: false,
            told: None,
            waiting: Vec::new(),
            late_readers: BTreeMap::new(),
        }
    }

    /// The end of WAL.
    pub fn lsn(&self) -> Lsn {
        Lsn(self.disk.wal.len() as u64 + 1)
    }

    pub fn timeline(&self) -> Timeline {
        let promotions = self.disk.wal.iter().filter(|record| matches!(record, Record::Promoted(..))).count();
        Timeline(promotions as u32 + 1)
    }

    /// A commit gets past the fence.
    pub fn commits(&self) -> bool {
        self.alive && !self.stopping && !self.in_recovery && self.fence != Fence::Lapsed
    }

    /// It runs on an old image, which lacks what came later, and does not write by it.
    pub fn is_idle_image(&self) -> bool {
        self.images > 0 && !self.commits()
    }

    pub fn has(&self, commit: u8) -> bool {
        self.disk.wal.contains(&Record::Commit(commit))
    }

    /// The names that a process goes by.
    pub fn names_of(&self, reader: Reader) -> &Rule {
        self.late_readers.get(&reader).unwrap_or(&self.disk.names)
    }

    /// Whether a commit that `holders` have flushed is let go: nobody waits at all, or one of their walsenders sees enough of
    /// those that count. Whom it counts each walsender says for itself.
    pub fn lets_go(&self, holders: &BTreeSet<NodeId>) -> bool {
        if self.names_of(Reader::Checkpointer).is_empty() {
            return true;
        }
        let counted: Vec<&Rule> = holders
            .iter()
            .map(|holder| (holder, self.names_of(Reader::Walsender(*holder))))
            .filter(|(holder, rule)| rule.members.contains(holder))
            .map(|(_, rule)| rule)
            .collect();
        counted.iter().any(|rule| counted.len() >= rule.wait_for as usize)
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
        self.late_readers.clear();
    }

    /// A life begins; the boot guard has made it a standby, or a token a writer.
    pub fn boot(&mut self, as_writer: bool, mistakes: Mistakes) {
        let wrote = self.disk.role.writes();
        self.end();
        if self.disk.boots > 0 {
            self.disk.boots += 1;
            self.life = 100 * self.disk.boots + self.images;
        }
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
            boot: self.disk.boots,
            life: self.life,
            ..Report::of(self.id, self.disk.role)
        }
    }

    /// An answer has come.
    pub fn hear(&mut self, told: Shared<Assignment>) {
        if self.stopping || told.incomplete || !accepts(self.disk.term, &told) {
            return;
        }
        self.disk.term = told.term;
        if let Some(last) = told.count_on_from {
            self.disk.boots = self.disk.boots.max(last + 1);
        }
        self.told = Some(told);
    }

    /// How its WAL gets to that of an upstream.
    pub fn way_to(&self, upstream: &Upstream) -> Method {
        rejoin(Some((self.lsn(), self.timeline())), self.disk.history, upstream)
    }

    /// The receiver is no longer there.
    pub fn lose_upstream(&mut self) {
        if self.receiver == Receiver::Streaming {
            self.receiver = Receiver::Lost;
        }
    }

    /// The monitor has recorded it as the writer.
    pub fn recorded(&mut self, term: Term) {
        self.disk.upstream = None;
        match self.disk.promotion {
            Some(promotion) => self.disk.history = promotion.term,
            None if self.disk.history == Term(0) => self.disk.history = term,
            None => {}
        }
    }

    /// From now on it follows that one.
    pub fn follow(&mut self, upstream: NodeId, history: Term) {
        self.disk.upstream = Some(upstream);
        self.disk.history = history;
        self.disk.promotion = None;
        self.disk.slots = false;
        (self.disk.rule, self.disk.names) = (Rule::default(), Rule::default());
        self.late_readers.clear();
    }

    pub fn cut_off(&mut self) {
        self.disk.upstream = None;
        self.lose_upstream();
    }
}
