//! The phases of a failover or switchover, as one step of an evaluation shows them, and when it was first suspected that there would be one.
use super::Facts;
use crate::group::{Group, Node, Probe, Session};
use crate::state::State;
use crate::units::{Millis, Moment, NodeId, Term};

/// Two heartbeats: whoever has said nothing for longer is missed.
pub const OVERDUE: Millis = Millis(2_000);

/// What a term that was opened by an operator's word, and not by a rule, is told to have been opened for.
pub const FORCED: &str = "forced promotion";

/// What a term has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It was opened.
    Convicted {
        /// The term.
        term: Term,
        /// Who wrote before. `None`: nobody who is known.
        old_writer: Option<NodeId>,
        /// See [`suspected`].
        suspected: Moment,
    },
    /// The pledges were enough, and its winner was named.
    Pledged {
        /// The term.
        term: Term,
        /// The winner.
        winner: NodeId,
    },
    /// Its winner has promoted and was recorded.
    Promoted {
        /// The term.
        term: Term,
        /// The winner.
        winner: NodeId,
    },
}

/// The phases that were reached between two moments of an evaluation, in their order.
pub fn reached(before: &Facts, after: &Group) -> Vec<Phase> {
    let was_open = before.group.election.as_ref();
    let mut phases = Vec::new();
    if let Some(election) = &after.election {
        let (term, is_new) = (election.term, was_open.is_none_or(|old| old.term != election.term));
        if is_new {
            let old_writer = before.writer().map(|writer| writer.id);
            phases.push(Phase::Convicted { term, old_writer, suspected: suspected(before) });
        }
        let named_before = was_open.filter(|_| !is_new).and_then(|old| old.winner);
        if let Some(winner) = election.winner.filter(|winner| named_before != Some(*winner)) {
            phases.push(Phase::Pledged { term, winner });
        }
    }
    let recorded = was_open.and_then(|old| after.reigns.last().filter(|reign| reign.term == old.term));
    if let Some(reign) = recorded.filter(|_| after.election.is_none()) {
        phases.push(Phase::Promoted { term: reign.term, winner: reign.writer });
    }
    phases
}

/// When the first sign came of what a term is opened for, as the group was just before.
///
/// Of a hand-over: when it was asked for, or announced. Of a loss: the first word of a kernel since the last report, which is the end of
/// the session, or a probe that was refused or put off. Where no such word came within [`OVERDUE`], silence was the first
/// sign, and it began with the last report; of a node that was never heard, with the monitor's start. Of anything else: now.
pub fn suspected(before: &Facts) -> Moment {
    let elected = before.group.election.as_ref().and_then(|election| before.group.node(election.winner?));
    let Some(node) = elected.or(before.writer()) else { return before.now };
    if node.goal == State::Draining {
        let stuck = (node.stuck && node.probe == Probe::Silent).then_some(node.probe_since);
        return stuck.map_or(node.goal_since, |since| since.min(node.goal_since));
    }
    if before.in_contact(node) { before.now } else { lost_since(before, node) }
}

fn lost_since(facts: &Facts, node: &Node) -> Moment {
    let last_report = node.heard.unwrap_or(facts.group.monitor_started);
    let session = (node.session == Session::Lost).then_some(node.session_since);
    let probe = match node.probe {
        Probe::Refused | Probe::Starting | Probe::Stopping => Some(node.probe_since),
        Probe::Unknown | Probe::Answers | Probe::Silent => None,
    };
    // What a later report has contradicted is no sign.
    let words = [session, probe].into_iter().flatten().filter(|word| *word >= last_report);
    words.min().filter(|word| word.since(last_report) <= OVERDUE).unwrap_or(last_report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Election, Reign};
    use crate::policy::Policy;
    use crate::rule::Rule;
    use crate::units::{Lsn, Timeline};

    const NOW: Moment = Moment(100_000);

    /// A primary that was heard at 90,000, and a standby.
    fn group(change: impl Fn(&mut Node)) -> Group {
        let mut primary = Node::registered(NodeId(1), 50, true, State::Primary, Moment(0));
        (primary.heard, primary.session) = (Some(Moment(90_000)), Session::Up);
        change(&mut primary);
        let standby = Node::registered(NodeId(2), 50, true, State::Secondary, Moment(0));
        let reign =
            Reign { term: Term(1), writer: NodeId(1), timeline: Timeline(1), switch_lsn: Lsn::default() };
        Group {
            term: Term(1),
            reigns: vec![reign],
            nodes: vec![primary, standby],
            monitor_started: Moment(10_000),
            ..Group::default()
        }
    }

    fn suspected_of(change: impl Fn(&mut Node)) -> u64 {
        suspected(&Facts::new(&group(change), &Policy::default(), NOW)).0
    }

    fn lost_at(node: &mut Node, at: u64) {
        (node.session, node.session_since) = (Session::Lost, Moment(at));
    }

    fn met(node: &mut Node, probe: Probe, at: u64) {
        (node.probe, node.probe_since) = (probe, Moment(at));
    }

    #[test]
    fn a_kernel_says_when_a_server_was_lost() {
        assert_eq!(suspected_of(|node| lost_at(node, 90_700)), 90_700);
        let refused_first = |node: &mut Node| {
            met(node, Probe::Refused, 90_600);
            lost_at(node, 90_700);
        };
        assert_eq!(suspected_of(refused_first), 90_600);
        let refused_later = |node: &mut Node| {
            lost_at(node, 90_700);
            met(node, Probe::Refused, 90_800);
        };
        assert_eq!(suspected_of(refused_later), 90_700);
        assert_eq!(suspected_of(|node| met(node, Probe::Starting, 91_000)), 91_000);
        assert_eq!(suspected_of(|node| met(node, Probe::Stopping, 91_000)), 91_000);
    }

    #[test]
    fn silence_begins_with_the_last_report() {
        assert_eq!(suspected_of(|_| {}), 90_000);
        assert_eq!(suspected_of(|node| met(node, Probe::Silent, 94_000)), 90_000);
        // A machine that is gone is found out by its session long after it was missed, and again when it starts.
        let gone = |node: &mut Node| {
            lost_at(node, 96_000);
            met(node, Probe::Refused, 99_000);
        };
        assert_eq!(suspected_of(gone), 90_000);
        let never_heard = |node: &mut Node| {
            (node.heard, node.session) = (None, Session::Never);
            met(node, Probe::Refused, 10_100);
        };
        assert_eq!(suspected_of(never_heard), 10_100);
        assert_eq!(suspected_of(|node| (node.heard, node.session) = (None, Session::Never)), 10_000);
    }

    #[test]
    fn a_sign_before_the_last_report_is_none() {
        // Probes of a port that is shut to the monitor have been refused for ever.
        let shut = |node: &mut Node| {
            met(node, Probe::Refused, 20_000);
            lost_at(node, 90_700);
        };
        assert_eq!(suspected_of(shut), 90_700);
        assert_eq!(suspected_of(|node| met(node, Probe::Refused, 20_000)), 90_000);
    }

    #[test]
    fn a_hand_over_begins_when_it_is_asked_for() {
        let draining = |node: &mut Node| {
            (node.goal, node.goal_since) = (State::Draining, Moment(80_000));
            lost_at(node, 90_700);
        };
        assert_eq!(suspected_of(draining), 80_000);
        let stuck = |node: &mut Node| {
            (node.goal, node.goal_since, node.stuck) = (State::Draining, Moment(80_000), true);
            met(node, Probe::Silent, 65_000);
        };
        assert_eq!(suspected_of(stuck), 65_000);
    }

    #[test]
    fn who_reports_is_suspected_now_and_so_is_nobody() {
        assert_eq!(suspected_of(|node| node.heard = Some(Moment(99_500))), NOW.0);
        let policy = Policy::default();
        assert_eq!(suspected(&Facts::new(&Group::default(), &policy, NOW)), NOW);
    }

    #[test]
    fn a_term_is_opened_for_the_loss_of_a_winner_too() {
        let mut group = group(|node| lost_at(node, 90_700));
        group.election = Some(election(2, Some(2)));
        let winner = group.node_mut(NodeId(2)).expect("it is there");
        winner.heard = Some(Moment(95_000));
        lost_at(winner, 95_300);
        assert_eq!(suspected(&Facts::new(&group, &Policy::default(), NOW)), Moment(95_300));
    }

    fn election(term: u64, winner: Option<i64>) -> Election {
        Election { term: Term(term), winner: winner.map(NodeId), rule: Rule::default(), forced: None }
    }

    #[test]
    fn each_phase_is_reached_once() {
        let policy = Policy::default();
        let step = |before: &Group, after: &Group| reached(&Facts::new(before, &policy, NOW), after);
        let reigning = group(|node| lost_at(node, 90_700));
        let opened = Group { term: Term(2), election: Some(election(2, None)), ..reigning.clone() };
        let named = Group { election: Some(election(2, Some(2))), ..opened.clone() };
        let reign = Reign { term: Term(2), writer: NodeId(2), ..reigning.reigns[0] };
        let reigns = [reigning.reigns.clone(), vec![reign]].concat();
        let recorded = Group { election: None, reigns, ..named.clone() };
        let convicted = |term| Phase::Convicted {
            term: Term(term),
            old_writer: Some(NodeId(1)),
            suspected: Moment(90_700),
        };
        let pledged = |term| Phase::Pledged { term: Term(term), winner: NodeId(2) };
        let promoted = Phase::Promoted { term: Term(2), winner: NodeId(2) };
        assert_eq!(step(&reigning, &opened), [convicted(2)]);
        assert_eq!(step(&opened, &named), [pledged(2)]);
        assert_eq!(step(&named, &recorded), [promoted]);
        // A monitor that is built anew goes on with an election whose winner has announced itself.
        assert_eq!(step(&reigning, &named), [convicted(2), pledged(2)]);
        for same in [&reigning, &opened, &named, &recorded] {
            assert_eq!(step(same, same), []);
        }
        // A term that is replaced by another was reached by nobody.
        let again = Group { term: Term(3), election: Some(election(3, None)), ..opened.clone() };
        assert_eq!(step(&opened, &again), [convicted(3)]);
    }
}
