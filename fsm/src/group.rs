//! All that the monitor knows of one group, as a value.
//!
//! Rows and the board in shared memory are put together into a [`Group`] by `ext-monitor`, which saves what a
//! decision changed. Fields marked *volatile* live on the board only and start as unknown with each life of the monitor.
use crate::boots::{Boots, OldImage, is_old_image, newest};
use crate::message::{Promotion, Receiver, Report};
use crate::monitor::resume;
use crate::rule::Rule;
use crate::state::State;
use crate::units::{Lsn, Moment, NodeId, RuleNumber, Term, Timeline};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A reign as it was recorded: who wrote in that term, and where its history left the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reign {
    /// The term.
    pub term: Term,
    /// Its only writer.
    pub writer: NodeId,
    /// The timeline it opened. 0 until the first writer of a group has told it.
    pub timeline: Timeline,
    /// Where it left the reign before.
    pub switch_lsn: Lsn,
}

/// A reign that a time-out has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LostReign {
    /// Whose it was.
    pub writer: NodeId,
    /// When it was convicted.
    pub at: Moment,
}

/// An election that is under way: its term is open, nobody was recorded in it yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Election {
    /// Its term.
    pub term: Term,
    /// Who is to promote, once the pledges were enough.
    pub winner: Option<NodeId>,
    /// The rule of the winner's reign.
    pub rule: Rule,
    /// The node whose pledge alone is enough, by the word of an operator who accepts that commits are lost.
    #[serde(default)]
    pub forced: Option<NodeId>,
}

/// A rule that is being brought in force, or offered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NextRule {
    /// The rule.
    pub rule: Rule,
    /// It is offered only: nothing changes before the writer has accepted it.
    pub offered: bool,
}

/// The keeper's session with the monitor, keyed by its number: only the newest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Session {
    /// None since the monitor started, or a tool reports without one.
    #[default]
    Never,
    /// Open.
    Up,
    /// The newest one ended.
    Lost,
}

/// What the last health probe met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Probe {
    /// Not probed yet.
    #[default]
    Unknown,
    /// The server answers.
    Answers,
    /// SQLSTATE 57P03 while starting up or recovering.
    Starting,
    /// SQLSTATE 57P03 while shutting down.
    Stopping,
    /// The connection was refused or reset by its kernel: no server there.
    Refused,
    /// No answer in time, or no route.
    Silent,
}

/// One node. `ext-monitor` keeps name, host and the like; decisions do not need them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// 0 to 100; 0: never promoted.
    pub priority: u8,
    /// It may be a member of the rule.
    pub quorum: bool,
    /// What it was assigned.
    pub goal: State,
    /// The goal that an operator has asked for and that an election came in between of: assigned again once that is over.
    pub wish: Option<State>,
    /// The state it reported last.
    pub reported: State,
    /// The highest term it has heard of.
    pub term: Term,
    /// The highest term it has pledged to.
    pub pledge: Term,
    /// The recorded term whose history it follows.
    pub history: Term,
    /// Timeline of the end of its WAL.
    pub timeline: Timeline,
    /// The end of its WAL, as last reported.
    pub lsn: Option<Lsn>,
    /// The promotion it made last.
    pub promotion: Option<Promotion>,
    /// The number of the rule in force on it.
    pub rule: RuleNumber,
    /// The rule that it has in force, or had when it wrote last.
    pub in_force: Rule,
    /// Timeline of its last checkpoint.
    pub checkpoint_timeline: Timeline,
    /// It is in recovery.
    pub in_recovery: bool,
    /// Its fence is up.
    pub fenced: bool,
    /// It said goodbye.
    pub leaving: bool,
    /// It says itself that its server does not answer new connections.
    pub stuck: bool,
    /// The newest of its starts.
    pub boots: Boots,
    /// It runs on a disk of an earlier time, and is not known to have again what it has acknowledged since.
    pub old_image: Option<OldImage>,
    /// Its WAL receiver.
    pub receiver: Receiver,
    /// Of a writer: who streams from it.
    pub followers: BTreeSet<NodeId>,
    /// *Volatile.* Since when the receiver is as it is.
    pub receiver_since: Moment,
    /// *Volatile.* When the last report came.
    pub heard: Option<Moment>,
    /// *Volatile.* Its session.
    pub session: Session,
    /// *Volatile.* Since when its session is as it is.
    pub session_since: Moment,
    /// *Volatile.* What the last probe met.
    pub probe: Probe,
    /// *Volatile.* Since when probes meet this.
    pub probe_since: Moment,
    /// *Volatile.* When the goal was assigned.
    pub goal_since: Moment,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Group {
    /// The highest term ever opened.
    pub term: Term,
    /// Every recorded reign, oldest first; the last one is the present writer's.
    pub reigns: Vec<Reign>,
    /// The election under way.
    pub election: Option<Election>,
    /// The rule confirmed in force.
    pub rule: Rule,
    /// The one that is to follow it.
    pub next_rule: Option<NextRule>,
    /// The writer may commit without a lease: nobody else is eligible (law 4). Set before the writer is told,
    /// cleared after the writer has confirmed that it left its unleased state.
    pub unleased: bool,
    /// The highest rule number ever given.
    pub last_rule_number: RuleNumber,
    /// Of the formation: how many standbys a commit waits for.
    pub number_sync_standbys: u32,
    /// The node that an operator wants as the next winner.
    pub wanted: Option<NodeId>,
    /// These rows may say less than the nodes know: the monitor was built from them, or restored. Nothing is decided, and
    /// nobody is told anything, before all who are awaited have come or were given up by hand (law 6).
    pub behind: bool,
    /// Who has to come first.
    pub awaited: BTreeSet<NodeId>,
    /// Random; another one when the monitor was restored. 0: not known.
    pub epoch: u64,
    /// The epochs that this one continues.
    pub succeeds: BTreeSet<u64>,
    /// *Volatile.* The latest reigns that a time-out has ended, see [`crate::monitor::time_outs`]. From the history of failovers.
    pub lost_reigns: Vec<LostReign>,
    /// *Volatile.* The last moment at which a granted lease can still run.
    pub granted_until: Moment,
    /// *Volatile.* When the monitor started, or went on after it had stood still.
    pub monitor_started: Moment,
    /// Its nodes, by id.
    pub nodes: Vec<Node>,
}

impl Node {
    /// A node as it is registered, with a first goal.
    pub fn registered(id: NodeId, priority: u8, quorum: bool, goal: State, now: Moment) -> Node {
        Node {
            id,
            priority,
            quorum,
            goal,
            wish: None,
            reported: State::Init,
            term: Term(0),
            pledge: Term(0),
            history: Term(0),
            timeline: Timeline(0),
            lsn: None,
            promotion: None,
            rule: RuleNumber(0),
            in_force: Rule::default(),
            checkpoint_timeline: Timeline(0),
            in_recovery: false,
            fenced: false,
            leaving: false,
            stuck: false,
            boots: Boots::default(),
            old_image: None,
            receiver: Receiver::None,
            followers: BTreeSet::new(),
            receiver_since: now,
            heard: None,
            session: Session::Never,
            session_since: now,
            probe: Probe::Unknown,
            probe_since: now,
            goal_since: now,
        }
    }

    /// It has reached its goal.
    pub fn settled(&self) -> bool {
        self.reported == self.goal
    }
}

impl Default for Group {
    fn default() -> Group {
        Group {
            term: Term(0),
            reigns: Vec::new(),
            election: None,
            rule: Rule::default(),
            next_rule: None,
            unleased: false,
            last_rule_number: RuleNumber(0),
            number_sync_standbys: 0,
            wanted: None,
            behind: false,
            awaited: BTreeSet::new(),
            epoch: 0,
            succeeds: BTreeSet::new(),
            lost_reigns: Vec::new(),
            granted_until: Moment(0),
            monitor_started: Moment(0),
            nodes: Vec::new(),
        }
    }
}

impl Group {
    /// The present reign: the last that was recorded.
    pub fn reign(&self) -> Option<&Reign> {
        self.reigns.last()
    }

    /// The recorded writer, when it is still a node of the group.
    pub fn writer(&self) -> Option<&Node> {
        self.reign().and_then(|reign| self.node(reign.writer))
    }

    /// It may know less than its nodes, and waits for some of them.
    pub fn is_incomplete(&self) -> bool {
        self.behind
    }

    /// The node of that id.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The node of that id, to change it.
    pub fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }

    /// The rules that must both be satisfied: the confirmed one, and the one being brought in force. An offer binds nobody.
    pub fn binding_rules(&self) -> impl Iterator<Item = &Rule> {
        let next = self.next_rule.as_ref().filter(|next| !next.offered).map(|next| &next.rule);
        std::iter::once(&self.rule).chain(next)
    }

    /// The nodes that any binding rule names.
    pub fn members(&self) -> BTreeSet<NodeId> {
        self.binding_rules().flat_map(|rule| rule.members.iter().copied()).collect()
    }

    /// The recorded reign that the end of a node's WAL is of: the last that it has made or was told to follow, or a later one of
    /// the same writer. Who follows a writer that is elected again goes on streaming from it, and acknowledges, without a word of ours.
    pub fn history(&self, node: &Node) -> Term {
        let reigned = |made: &Promotion| {
            self.reigns.iter().any(|reign| reign.term == made.term && reign.writer == node.id)
        };
        let known = node.promotion.filter(reigned).map_or(node.history, |made| node.history.max(made.term));
        let writer = self.reigns.iter().find(|reign| reign.term == known).map(|reign| reign.writer);
        let later = |reign: &&Reign| {
            // The timeline is that of this writer's promotion: a number alone would not be a history (law 9).
            reign.term > known && Some(reign.writer) == writer && reign.timeline == node.timeline
        };
        // A disk of an earlier time may have taken a number twice: of two reigns, then, the first is the one that is left behind.
        self.reigns.iter().find(later).map_or(known, |reign| reign.term)
    }

    /// Where WAL of a node with `history` left the present reign's: the lowest point at which any later reign
    /// began. `None` when the node's history was never recorded here.
    pub fn fork(&self, history: Term) -> Option<Lsn> {
        self.reigns.iter().find(|reign| reign.term == history)?;
        let later = self.reigns.iter().filter(|reign| reign.term > history);
        Some(later.map(|reign| reign.switch_lsn).min().unwrap_or(Lsn(u64::MAX)))
    }

    /// Takes in a report. Facts only: what follows from them is for [`crate::monitor::decide`].
    pub fn hear(&mut self, report: &Report, session: Session, now: Moment) {
        let first_timeline = self.reigns.last_mut().filter(|reign| {
            reign.writer == report.node && reign.timeline == Timeline(0) && report.timeline > Timeline(0)
        });
        if let Some(reign) = first_timeline {
            reign.timeline = report.timeline;
        }
        // An acceptance counts only while that very offer stands, and only in the reign it was made in.
        let accepted = self.next_rule.as_mut().filter(|next| {
            next.offered
                && report.accepts == Some(next.rule.number)
                && self.election.is_none()
                && self
                    .reigns
                    .last()
                    .is_some_and(|reign| reign.writer == report.node && reign.term == report.term)
        });
        if let Some(next) = accepted {
            next.offered = false;
            self.unleased = true;
        }
        if self.awaited.contains(&report.node) {
            resume::has_come(self, report);
        }
        let rules = self.last_rule_number;
        let Some(node) = self.node_mut(report.node) else { return };
        let told = Boots { count: report.boot, life: report.life };
        if !is_old_image(node.boots, told) {
            // The image counts on, and is started again before it is whole: the same copy under another number.
            let later = told.count > node.boots.count;
            if let Some(image) = node.old_image.as_mut().filter(|_| later) {
                image.life = told.life;
            }
            node.boots = newest(node.boots, told);
        } else if node.old_image.is_none_or(|image| image.life != told.life) {
            node.old_image = Some(OldImage { life: told.life, rules });
        }
        if node.receiver != report.receiver {
            node.receiver_since = now;
        }
        node.reported = report.state;
        node.term = report.term;
        node.pledge = report.pledge;
        node.history = report.history;
        node.timeline = report.timeline;
        node.lsn = report.lsn;
        node.promotion = report.promotion;
        node.rule = report.rule;
        if let Some(in_force) = &report.in_force {
            node.in_force.clone_from(in_force);
        }
        node.checkpoint_timeline = report.checkpoint_timeline;
        node.in_recovery = report.in_recovery;
        node.fenced = report.fenced;
        node.leaving = report.leaving;
        node.stuck = report.stuck;
        node.receiver = report.receiver;
        node.followers = report.followers.clone();
        node.heard = Some(now);
        if node.session != session {
            (node.session, node.session_since) = (session, now);
        }
    }
}
