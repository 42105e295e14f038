//! What a keeper does to get from the state it is in to the state it was assigned.
//!
//! The table is level-triggered: a row leads from a state to itself too, and says what must be so while a node stays there.
//! Every action may be done twice. `ext-keeper` does them in order and stops at the first that is not done yet; when
//! all are done it makes the new state durable and reports it.
use crate::message::{Assignment, Upstream};
use crate::rule::Rule;
use crate::state::State;
use crate::units::{Lsn, NodeId, Term, Timeline};
use std::collections::BTreeSet;

/// One thing for the keeper to do. Only data: `ext-keeper` does it, one function an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// While the lease lasts, have as little as possible to do between fence and shutdown: try the configuration of the next life, and
    /// make a checkpoint.
    PrepareHandOver,
    /// Nothing commits here any more; an unleased state is left durably.
    RaiseFence,
    /// Tell the monitor at once that the fence is up and the server is going down.
    SayGoodbye,
    /// Be in recovery: restart in place when it is not.
    RestartAsStandby,
    /// Be out of recovery on the present timeline: restart in place with a writer's token when it is not.
    BecomeWriter,
    /// The roles that standbys and the health probe log in as exist.
    EnsureAccounts,
    /// There is a replication slot for every peer, and none of ours for nodes that are gone.
    EnsureSlots,
    /// The assigned rule is in force; on a writer, a new rule's members have flushed all WAL that was there when it came in force.
    ApplyRule,
    /// Durably in an unleased state; then the fence opens for good.
    EnterUnleased,
    /// Durably in a leased state; then the fence opens while the lease runs.
    EnterLeased,
    /// Fsync the pledge, cut the receiver off, then read the end of WAL.
    Pledge,
    /// Promote, fenced, and keep what was promoted in which term.
    Promote,
    /// Have a checkpoint on the present timeline made, without waiting for it.
    Checkpoint,
    /// Follow the upstream: as it is, after a rewind, or as a new copy (see [`rejoin`]).
    Rejoin,
    /// Follow the upstream if the own history allows it as it is; no restart, no rewind, no copy.
    FollowAsItIs,
    /// Fetch WAL from the named peer up to the named position, then cut the receiver off again.
    FetchMissing,
    /// The receiver stays cut off.
    CutOff,
    /// Forget the group.
    LeaveGroup,
}

/// One row of the keeper's table.
#[derive(Debug)]
pub struct Transition {
    /// The states it is in.
    pub from: &'static [State],
    /// The state it is assigned.
    pub to: State,
    /// To do, in this order.
    pub actions: &'static [Action],
    /// Why the row exists; printed in docs/states.md.
    pub why: &'static str,
}

use Action::*;
use State::*;

const WRITING: &[State] = &[Single, WaitPrimary, Primary];
const UNLEASED: &[State] = &[Single, WaitPrimary];
const NOT_WRITING: &[State] = &[
    Init,
    Draining,
    Demoted,
    CatchingUp,
    Secondary,
    PreparePromotion,
    WaitStandby,
    ReportLsn,
    FastForward,
    JoinSecondary,
    WaitMaintenance,
    Maintenance,
];
const ANY: &[State] = &[
    Init,
    Single,
    WaitPrimary,
    Primary,
    Draining,
    Demoted,
    CatchingUp,
    Secondary,
    PreparePromotion,
    WaitStandby,
    ReportLsn,
    FastForward,
    JoinSecondary,
    WaitMaintenance,
    Maintenance,
    Dropped,
];

/// Every change of state a keeper knows how to make, and every state it knows how to stay in.
#[rustfmt::skip]
pub const TABLE: &[Transition] = &[
    Transition { from: WRITING,     to: Single,      actions: &[ApplyRule, EnterUnleased, EnsureAccounts, EnsureSlots],
                 why: "alone in its group: waits for nobody" },
    Transition { from: NOT_WRITING, to: Single,      actions: &[BecomeWriter, ApplyRule, EnterUnleased, EnsureAccounts, EnsureSlots],
                 why: "the recorded writer writes again, alone" },
    Transition { from: WRITING,     to: WaitPrimary, actions: &[ApplyRule, EnterUnleased, EnsureAccounts, EnsureSlots],
                 why: "the monitor has recorded that nobody else is eligible" },
    Transition { from: NOT_WRITING, to: WaitPrimary, actions: &[BecomeWriter, ApplyRule, EnterUnleased, EnsureAccounts, EnsureSlots, Checkpoint],
                 why: "recorded as the writer, with no synchronous standby" },
    Transition { from: UNLEASED,    to: Primary,     actions: &[EnsureSlots, ApplyRule, EnterLeased, Checkpoint],
                 why: "commits wait for the members of the rule" },
    Transition { from: &[Primary],  to: Primary,     actions: &[EnterLeased, EnsureSlots, ApplyRule, Checkpoint],
                 why: "the lease goes on while a new rule's members catch up" },
    Transition { from: NOT_WRITING, to: Primary,     actions: &[BecomeWriter, EnsureSlots, ApplyRule, EnterLeased, Checkpoint],
                 why: "recorded as the writer; its rule was in force before it was recorded" },
    Transition { from: ANY,         to: Draining,    actions: &[PrepareHandOver, RaiseFence, SayGoodbye, RestartAsStandby],
                 why: "a planned hand-over: the members get the last WAL" },
    Transition { from: ANY,         to: Demoted,     actions: &[RaiseFence, RestartAsStandby, CutOff],
                 why: "no longer the writer, and nobody to follow yet" },
    Transition { from: ANY,         to: ReportLsn,   actions: &[RaiseFence, RestartAsStandby, Pledge],
                 why: "an election: no acknowledgement for older terms any more" },
    Transition { from: ANY,         to: FastForward, actions: &[FetchMissing],
                 why: "elected, but a peer has more WAL" },
    Transition { from: ANY,         to: PreparePromotion, actions: &[Promote, ApplyRule],
                 why: "elected: promotes fenced, then waits to be recorded" },
    Transition { from: ANY,         to: JoinSecondary, actions: &[RaiseFence, RestartAsStandby, CutOff],
                 why: "the election is over for this node; the new primary is not ready yet" },
    Transition { from: ANY,         to: CatchingUp,  actions: &[RaiseFence, RestartAsStandby, Rejoin],
                 why: "follows, and is not promotable yet" },
    Transition { from: ANY,         to: Secondary,   actions: &[RaiseFence, RestartAsStandby, Rejoin],
                 why: "follows, and is covered by the rule" },
    Transition { from: ANY,         to: WaitMaintenance, actions: &[RaiseFence, RestartAsStandby, FollowAsItIs],
                 why: "to be taken down, as soon as no commit waits for it" },
    Transition { from: ANY,         to: Maintenance, actions: &[RaiseFence, FollowAsItIs],
                 why: "the server is its operator's: stopped, started and upgraded by nobody else" },
    Transition { from: ANY,         to: WaitStandby, actions: &[],
                 why: "the primary makes room first" },
    Transition { from: ANY,         to: Dropped,     actions: &[LeaveGroup],
                 why: "an operator removed the node" },
];

/// What one look at the table came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Do these, in order; then be in the assigned state.
    Go {
        /// To do, in this order.
        actions: &'static [Action],
        /// Why the row exists.
        why: &'static str,
    },
    /// The table has no such row: say so, touch nothing.
    NoWay {
        /// The state it is in.
        from: State,
        /// The state it was assigned.
        to: State,
    },
}

/// The way of a keeper in `from` that was assigned `to`.
pub fn plan(from: State, to: State) -> Step {
    match TABLE.iter().find(|row| row.to == to && row.from.contains(&from)) {
        Some(row) => Step::Go { actions: row.actions, why: row.why },
        None => Step::NoWay { from, to },
    }
}

/// Whether a node that has durably heard of `known` obeys this assignment. One of an older term is late, whoever sent it (law 2).
pub fn accepts(known: Term, assignment: &Assignment) -> bool {
    assignment.term >= known
}

/// Whether a node of the monitor with the epoch `known` obeys the one that answers: the same, or one that continues it. An epoch
/// that nobody has told yet is accepted. A node is taken to another monitor by an operator, who has that one told (law 6).
pub fn obeys(known: u64, assignment: &Assignment) -> bool {
    let answers = assignment.epoch;
    known == 0 || answers == 0 || answers == known || assignment.succeeds.contains(&known)
}

/// Whether a writer accepts an offer to write alone (see [`Assignment::offer`]): not while it is followed by enough of those
/// that its rule in force waits for, or, where that waits for nobody, by anybody at all.
pub fn accepts_offer(in_force: &Rule, followers: &BTreeSet<NodeId>) -> bool {
    if in_force.is_empty() { followers.is_empty() } else { !in_force.is_met_by(followers) }
}

/// How a node becomes a follower of its upstream again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Its WAL is part of the upstream's history: stream.
    Follow,
    /// It has WAL that the upstream's history never had: pg_rewind, and a new copy when that cannot work.
    Rewind,
    /// The histories cannot be compared: a new copy.
    Clone,
    /// Not to be told yet: its end of WAL is not known, or the upstream cannot be rewound from yet.
    Wait,
}

/// The method for a node whose WAL ends at `end`, and whose WAL follows the recorded term `history`.
pub fn rejoin(end: Option<(Lsn, Timeline)>, history: Term, upstream: &Upstream) -> Method {
    match (upstream.fork, end) {
        (None, _) => Method::Clone,
        (Some(_), None) => Method::Wait,
        (Some(_), Some((_, timeline))) if is_foreign(timeline, history, upstream) => Method::Clone,
        (Some(fork), Some((end, _))) if end <= fork => Method::Follow,
        (Some(_), Some(_)) if upstream.rewindable => Method::Rewind,
        (Some(_), Some(_)) => Method::Wait,
    }
}

/// A number is not a history (law 9). A later timeline than the upstream's was opened by somebody whom no term allowed; an equal one, on
/// a node that has not followed the upstream's reign, by somebody who took the same next number. pg_rewind would say that there is
/// nothing to do, and a receiver would stream.
fn is_foreign(timeline: Timeline, history: Term, upstream: &Upstream) -> bool {
    let same_number = timeline == upstream.timeline && history != upstream.term;
    // 0: the first writer of a group has not told it yet.
    upstream.timeline > Timeline(0) && (timeline > upstream.timeline || same_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Peer;
    use crate::units::RuleNumber;

    #[test]
    fn every_pair_has_one_row_at_most() {
        for &from in State::ALL {
            for &to in State::ALL {
                let rows = TABLE.iter().filter(|row| row.to == to && row.from.contains(&from)).count();
                assert!(rows <= 1, "{from} -> {to}: {rows} rows");
            }
        }
    }

    /// A rule that waits for nobody is met by nobody, and still a standby may follow that would be electable under a lease.
    #[test]
    fn an_offer_is_accepted_where_nobody_is_left() {
        let nodes = |ids: &[i64]| -> BTreeSet<NodeId> { ids.iter().copied().map(NodeId).collect() };
        let (empty, of_two) = (Rule::default(), Rule::over(RuleNumber(2), nodes(&[2, 3]), 0));
        assert!(accepts_offer(&empty, &nodes(&[])) && !accepts_offer(&empty, &nodes(&[2])));
        assert!(accepts_offer(&of_two, &nodes(&[])) && !accepts_offer(&of_two, &nodes(&[3])));
        assert!(accepts_offer(&of_two, &nodes(&[4])), "no commit waits for that one");
    }

    #[test]
    fn equal_numbers_of_different_histories_are_told_apart() {
        let peer = Peer { node: NodeId(1), host: "h".to_owned(), port: 5432 };
        let upstream = |fork| Upstream {
            peer: peer.clone(),
            term: Term(2),
            timeline: Timeline(2),
            fork: Some(Lsn(fork)),
            rewindable: true,
            reach: None,
        };
        let at = |lsn, timeline| Some((Lsn(lsn), Timeline(timeline)));
        assert_eq!(rejoin(at(90, 1), Term(1), &upstream(100)), Method::Follow);
        assert_eq!(rejoin(at(110, 1), Term(1), &upstream(100)), Method::Rewind);
        for lsn in [90, 110] {
            assert_eq!(
                rejoin(at(lsn, 2), Term(1), &upstream(100)),
                Method::Clone,
                "promoted at the same point"
            );
            assert_eq!(rejoin(at(lsn, 3), Term(1), &upstream(100)), Method::Clone);
        }
        assert_eq!(rejoin(at(110, 2), Term(2), &upstream(u64::MAX)), Method::Follow, "followed it before");
    }

    /// Law 3: no way leads into a writing state without the action that decides about the fence, and none that leaves writing forgets to raise it.
    /// Only a hand-over that nobody is in a hurry for is prepared first.
    #[test]
    fn the_fence_is_decided_in_every_row() {
        for row in TABLE {
            let opens = row.actions.contains(&EnterUnleased) || row.actions.contains(&EnterLeased);
            assert_eq!(opens, row.to.writes(), "{}", row.to);
            let leaves =
                row.to.has_upstream() || matches!(row.to, Draining | Demoted | ReportLsn | JoinSecondary);
            if leaves {
                let mut actions = row.actions.iter().filter(|action| **action != PrepareHandOver);
                assert_eq!(actions.next(), Some(&RaiseFence), "{}", row.to);
                assert!(row.to == Draining || row.actions.len() == actions.count() + 1, "{}", row.to);
            }
        }
    }
}
