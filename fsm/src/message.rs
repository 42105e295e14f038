//! What keeper and monitor say to each other: JSON on the wire, unknown fields ignored, missing ones as declared here.
use crate::password::{Password, Passwords};
use crate::rule::Rule;
use crate::state::State;
use crate::units::{Lsn, Millis, NodeId, RuleNumber, Term, Timeline};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The version of these messages. A change that an older reader would misread raises it.
pub const VERSION: u32 = 1;

/// What a standby's receiver does. Receiver state only; how far replay is never counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receiver {
    /// No receiver ran in this life of the server, or none is wanted.
    #[default]
    None,
    /// Streaming now.
    Streaming,
    /// It streamed, and its upstream is gone.
    Lost,
}

/// A promotion that this node made, kept durably until it follows somebody else.
///
/// Kept BEFORE it is made, with `switch_lsn` 0 and the timeline that it leaves: a crash between the promotion and
/// the note of it would leave WAL that nobody knows not to be of the recorded history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Promotion {
    /// The term it was elected in.
    pub term: Term,
    /// The timeline it opened; while `switch_lsn` is 0, the one it is about to leave.
    pub timeline: Timeline,
    /// Where that timeline left the one before. 0: whether it was made is not known yet.
    pub switch_lsn: Lsn,
}

/// The first commit that a writer has acknowledged to a client in its reign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FirstWrite {
    /// The term of the reign.
    pub term: Term,
    /// How long ago that was when the report was written.
    pub ago: Millis,
}

/// A keeper's snapshot of its node, read once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// Who speaks.
    pub node: NodeId,
    /// The state it has reached; durable on the node before it is told.
    pub state: State,
    /// The highest term it has durably heard of.
    #[serde(default)]
    pub term: Term,
    /// The highest term it has durably pledged to.
    #[serde(default)]
    pub pledge: Term,
    /// The term of the last recorded history that its WAL follows.
    #[serde(default)]
    pub history: Term,
    /// Timeline of the end of its WAL.
    #[serde(default)]
    pub timeline: Timeline,
    /// The end of its WAL. Absent: not known yet, so it is no candidate.
    #[serde(default)]
    pub lsn: Option<Lsn>,
    /// The promotion it made last, if it follows nobody since.
    #[serde(default)]
    pub promotion: Option<Promotion>,
    /// The rule that is in force here, seen in force and covered.
    #[serde(default)]
    pub rule: RuleNumber,
    /// The same rule in full.
    #[serde(default)]
    pub in_force: Option<Rule>,
    /// The nodes of its group that it knows of.
    #[serde(default)]
    pub named: BTreeSet<NodeId>,
    /// The epoch of the monitor that it obeys. 0: not known.
    #[serde(default)]
    pub epoch: u64,
    /// The offered rule that it accepts (see [`Assignment::offer`]).
    #[serde(default)]
    pub accepts: Option<RuleNumber>,
    /// Timeline of its last checkpoint: pg_rewind reads this one on its source.
    #[serde(default)]
    pub checkpoint_timeline: Timeline,
    /// Its WAL receiver.
    #[serde(default)]
    pub receiver: Receiver,
    /// Of a writer: the nodes that stream from it.
    #[serde(default)]
    pub followers: BTreeSet<NodeId>,
    /// Of a writer, until a report that tells it was answered: the first commit of its reign.
    #[serde(default)]
    pub first_write: Option<FirstWrite>,
    /// The server is in recovery.
    #[serde(default)]
    pub in_recovery: bool,
    /// The commit fence is up: nothing commits here.
    #[serde(default)]
    pub fenced: bool,
    /// A goodbye: the server is shutting down, and its fence is up.
    #[serde(default)]
    pub leaving: bool,
    /// Its own server has not answered new connections for some seconds, though this keeper is at work.
    #[serde(default)]
    pub stuck: bool,
    /// How often this node was started; grows with each start. 0: not known.
    #[serde(default)]
    pub boot: u64,
    /// The random number of this start. 0: not known.
    #[serde(default)]
    pub life: u64,
    /// The system identifier of its cluster; 0: not known.
    #[serde(default)]
    pub system_identifier: u64,
    /// The passwords it holds.
    #[serde(default)]
    pub passwords: Passwords,
    /// What it waits for or what went wrong last, for people.
    #[serde(default)]
    pub note: Option<String>,
}

impl Report {
    /// A report that says no more than who speaks and in which state.
    pub fn of(node: NodeId, state: State) -> Report {
        Report {
            version: VERSION,
            node,
            state,
            term: Term(0),
            pledge: Term(0),
            history: Term(0),
            timeline: Timeline(0),
            lsn: None,
            promotion: None,
            rule: RuleNumber(0),
            in_force: None,
            named: BTreeSet::new(),
            epoch: 0,
            accepts: None,
            checkpoint_timeline: Timeline(0),
            receiver: Receiver::None,
            followers: BTreeSet::new(),
            first_write: None,
            in_recovery: false,
            fenced: false,
            leaving: false,
            stuck: false,
            boot: 0,
            life: 0,
            system_identifier: 0,
            passwords: Passwords::default(),
            note: None,
        }
    }
}

/// A node of the same group, for slots and pg_hba.conf.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// Its id.
    pub node: NodeId,
    /// Where its server listens: a name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Whom to follow, and how its history left the follower's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Upstream {
    /// Who and where.
    pub peer: Peer,
    /// The recorded term whose history it carries.
    pub term: Term,
    /// The timeline of that history.
    pub timeline: Timeline,
    /// WAL of this node up to here is part of that history; what lies beyond is not. Absent: the histories
    /// cannot be compared, so only a new copy will do (law 9).
    pub fork: Option<Lsn>,
    /// It has made a checkpoint on its timeline, so pg_rewind can read it.
    pub rewindable: bool,
    /// Of `fast_forward`: fetch WAL up to here, then cut off again.
    #[serde(default)]
    pub reach: Option<Lsn>,
}

/// The monitor's answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// Whom it is for.
    pub node: NodeId,
    /// The state to reach.
    pub goal: State,
    /// The term that the goal belongs to. An assignment of an older term than the node knows is ignored.
    pub term: Term,
    /// To the recorded writer only: a lease, counted from the moment the report was sent.
    #[serde(default)]
    pub lease: Option<Millis>,
    /// The rule to have in force.
    #[serde(default)]
    pub rule: Rule,
    /// A rule without members that the monitor would like: say in the next report that you accept it. It is
    /// in nobody's way until the monitor has recorded the acceptance and sends it as `rule` (law 4).
    #[serde(default)]
    pub offer: Option<RuleNumber>,
    /// To followers: whom.
    #[serde(default)]
    pub upstream: Option<Upstream>,
    /// To a node that has pledged: the peer that promotes now. Its receiver may log in there ahead of time, and gets no WAL before
    /// that peer is its upstream.
    #[serde(default)]
    pub elected: Option<NodeId>,
    /// The other nodes of the group.
    #[serde(default)]
    pub peers: Vec<Peer>,
    /// The monitor may know less than its nodes, and waits for some of them: this is no assignment, and no contact that a lease
    /// could count from. The node goes on as it is.
    #[serde(default)]
    pub incomplete: bool,
    /// A random number that a group gets when it is made, and another one when its monitor was restored. 0: not known.
    #[serde(default)]
    pub epoch: u64,
    /// The epochs that this one continues. A node of any other does not obey.
    #[serde(default)]
    pub succeeds: BTreeSet<u64>,
    /// To an old disk image: another copy of the node has counted that many starts. Count on from there, durably.
    #[serde(default)]
    pub count_on_from: Option<u64>,
    /// The NOTIFY channel of the group.
    #[serde(default)]
    pub channel: String,
    /// The password of `pgautofailover_replicator`, when the node does not hold this one yet.
    #[serde(default)]
    pub replication_password: Option<Password>,
    /// The password of `autoctl_node` on the monitor, when the monitor made one that the node does not hold yet.
    #[serde(default)]
    pub monitor_password: Option<Password>,
}
