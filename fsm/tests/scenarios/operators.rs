//! What operators ask for, and what becomes of it.
use crate::scene::Scene;
use fsm::group::Group;
use fsm::message::Report;
use fsm::monitor::operate::{self, Refusal};
use fsm::monitor::resume;
use fsm::rule::Rule;
use fsm::state::State::*;
use fsm::units::{Lsn, NodeId, RuleNumber, Term, Timeline};
use std::collections::BTreeSet;

/// The primary is asynchronous BEFORE the only standby may be taken down; nobody is elected from then on, and it comes back.
#[test]
fn the_only_standby_is_maintained() {
    let mut scene = Scene::settled(2, 0);
    scene.start_maintenance(2).unwrap();
    assert_eq!(scene.goals(), [WaitPrimary, WaitMaintenance]);
    assert!(scene.group.unleased, "recorded before the primary is told");
    scene.settle();
    assert_eq!(
        scene.rules(),
        ["write alone by an operator's word", "the rule is in force", "let the server be taken down"]
    );
    assert_eq!(scene.goals(), [WaitPrimary, Maintenance]);
    assert_eq!(scene.start_maintenance(2), Ok(()), "asked for again");

    scene.kill(2);
    scene.wait(100);
    scene.kill(1);
    scene.wait(100);
    assert_eq!(scene.rules(), [""; 0], "nobody is elected in its place");
    scene.start(1);
    scene.start(2);
    scene.settle();
    assert_eq!(scene.goals(), [WaitPrimary, Maintenance]);

    scene.stop_maintenance(2);
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Secondary]);
}

#[test]
fn maintenance_is_refused_where_it_would_harm() {
    let mut scene = Scene::settled(2, 0);
    assert_eq!(scene.start_maintenance(1), Err(Refusal::IsPrimary));
    assert_eq!(scene.start_maintenance(7), Err(Refusal::NoSuchNode));
    let mut scene = Scene::settled(3, 1);
    scene.start_maintenance(2).unwrap();
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Maintenance, Secondary]);
    assert_eq!(scene.start_maintenance(3), Err(Refusal::TooFewMembers));
}

/// A member on its way out is none that could be waited for: two that leave at once would wait for each other for ever.
#[test]
fn two_members_do_not_leave_at_once() {
    let mut scene = Scene::settled(3, 1);
    scene.start_maintenance(2).unwrap();
    assert_eq!(scene.start_maintenance(3), Err(Refusal::TooFewMembers));
    let (policy, now) = (scene.policy, scene.now);
    assert_eq!(
        operate::remove(&mut scene.group, NodeId(3), false, &policy, now),
        Err(Refusal::TooFewMembers)
    );
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Maintenance, Secondary]);
}

/// The others fail over; the node in maintenance is left alone, and follows the new primary when it is given back.
#[test]
fn a_failover_passes_a_node_in_maintenance_by() {
    let mut scene = Scene::settled(3, 0);
    scene.start_maintenance(2).unwrap();
    scene.settle();
    assert_eq!(scene.members(), [3]);
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.goals(), [Demoted, Maintenance, WaitPrimary]);
    scene.stop_maintenance(2);
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Secondary, Primary]);
}

/// Taken back before the primary has confirmed anything.
#[test]
fn maintenance_that_is_not_wanted_any_more() {
    let mut scene = Scene::settled(3, 0);
    scene.start_maintenance(2).unwrap();
    scene.stop_maintenance(2);
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Secondary, Secondary]);
}

/// The primary dies in the evaluation that lets the last standby go: nobody is eligible any more.
#[test]
fn the_primary_dies_while_its_last_standby_is_to_be_maintained() {
    let mut scene = Scene::settled(2, 0);
    scene.keeper(1).alive = false;
    scene.start_maintenance(2).unwrap();
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.goals(), [WaitPrimary, WaitMaintenance]);
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [WaitPrimary, Maintenance]);
}

/// Of two members one is dead already: the other is let go at once where the primary may write alone, and not before the dead one is
/// back where it may not.
#[test]
fn maintenance_of_the_last_standby_that_follows() {
    let mut scene = Scene::settled(3, 0);
    scene.kill(3);
    scene.start_maintenance(2).unwrap();
    scene.settle();
    assert_eq!(scene.goals(), [WaitPrimary, Maintenance, CatchingUp]);

    let mut scene = Scene::settled(3, 1);
    scene.kill(3);
    scene.start_maintenance(2).unwrap();
    scene.wait(600);
    scene.settle();
    assert_eq!((scene.goals()[1], scene.members()), (WaitMaintenance, vec![2, 3]));
    scene.start(3);
    scene.settle();
    assert_eq!((scene.goals(), scene.members()), (vec![Primary, Maintenance, Secondary], vec![3]));
}

/// A node without a vote is in nobody's rule: it goes at once, and comes back.
#[test]
fn maintenance_of_an_asynchronous_standby() {
    let mut scene = Scene::settled(3, 0);
    operate::set_quorum(&mut scene.group, NodeId(3), false).unwrap();
    scene.look();
    scene.settle();
    scene.rules();
    scene.start_maintenance(3).unwrap();
    assert_eq!(scene.rules(), ["let the server be taken down"]);
    scene.kill(3);
    scene.settle();
    assert_eq!((scene.goals(), scene.members()), (vec![Primary, Secondary, Maintenance], vec![2]));
    scene.start(3);
    scene.stop_maintenance(3);
    scene.settle();
    assert_eq!((scene.goals(), scene.members()), (vec![Primary, Secondary, Secondary], vec![2]));
}

/// An operator removes a node that is being maintained, and one that is to be.
#[test]
fn a_maintained_node_is_removed() {
    for settles in [true, false] {
        let mut scene = Scene::settled(2, 0);
        scene.start_maintenance(2).unwrap();
        if settles {
            scene.settle();
        }
        scene.remove(2);
        scene.settle();
        assert_eq!(scene.goals(), [Single]);
    }
}

/// The asynchronous standby is lost while another one, which commits shall wait for, is still catching up. The offer to write alone is
/// not accepted, for somebody follows; and it does not keep that one from being waited for.
#[test]
fn an_offer_does_not_keep_a_standby_out() {
    let mut scene = Scene::new(0);
    for id in [1, 2] {
        scene.register(id, 50, false);
        scene.settle();
    }
    scene.register(3, 50, true);
    scene.tick(3);
    scene.keeper(1).report.lsn = Some(Lsn(1 << 40));
    scene.kill(2);
    scene.rules();
    for _ in 0..3 {
        scene.tick(1);
    }
    assert_eq!(scene.rules(), ["no longer covered", "offer to write alone"]);
    scene.settle();
    assert_eq!(scene.rules(), ["bring a standby into the rule", "the rule is in force", "caught up"]);
    assert_eq!((scene.goals(), scene.members()), (vec![Primary, CatchingUp, Secondary], vec![3]));
}

/// A node whose vote is taken away leaves the rule; with the last one, the primary goes on with a lease and an asynchronous standby.
#[test]
fn a_standby_without_a_vote() {
    let mut scene = Scene::settled(3, 0);
    for (id, members) in [(2, vec![3]), (3, vec![])] {
        operate::set_quorum(&mut scene.group, NodeId(id), false).unwrap();
        scene.look();
        scene.settle();
        assert_eq!(scene.members(), members);
    }
    assert_eq!(scene.rules(), ["a node without a vote leaves the rule", "the rule is in force"].repeat(2));
    assert_eq!(scene.goals(), [Primary, Secondary, Secondary]);
    operate::set_quorum(&mut scene.group, NodeId(2), true).unwrap();
    scene.look();
    scene.settle();
    assert_eq!((scene.goals(), scene.members()), (vec![Primary, Secondary, Secondary], vec![2]));

    let mut scene = Scene::settled(3, 1);
    assert_eq!(operate::set_quorum(&mut scene.group, NodeId(2), false), Ok(()));
    assert_eq!(operate::set_quorum(&mut scene.group, NodeId(3), false), Err(Refusal::TooFewMembers));
}

#[test]
fn another_number_of_standbys() {
    let mut scene = Scene::settled(4, 1);
    assert!(operate::can_wait_for(&scene.group, 2) && !operate::can_wait_for(&scene.group, 3));
    scene.group.number_sync_standbys = 2;
    scene.look();
    scene.settle();
    assert_eq!(scene.rules(), ["wait for another number", "the rule is in force"]);
    assert_eq!((scene.group.rule.wait_for, scene.members()), (2, vec![2, 3, 4]));

    // One is lost for long: two are left to wait for two of, and the third takes its place again.
    scene.kill(4);
    scene.wait(31);
    scene.settle();
    assert_eq!((scene.group.rule.wait_for, scene.members()), (2, vec![2, 3]));
    scene.kill(3);
    scene.wait(600);
    assert_eq!((scene.group.rule.wait_for, scene.members()), (2, vec![2, 3]), "it stops rather");
    scene.rules();
    scene.group.number_sync_standbys = 0;
    scene.look();
    scene.settle();
    assert_eq!(scene.group.rule.wait_for, 1);
    scene.start(3);
    scene.start(4);
    scene.settle();
    assert_eq!(
        (scene.goals(), scene.members()),
        (vec![Primary, Secondary, Secondary, Secondary], vec![2, 3, 4])
    );
}

/// The wished node becomes primary, whatever the priorities say, and the wish is forgotten with that.
#[test]
fn a_certain_node_is_wanted() {
    let mut scene = Scene::settled(3, 0);
    operate::set_priority(&mut scene.group, NodeId(3), 0).unwrap();
    let (policy, now) = (scene.policy, scene.now);
    let promote =
        |scene: &mut Scene, id| operate::perform_promotion(&mut scene.group, NodeId(id), &policy, now);
    assert_eq!(promote(&mut scene, 1), Ok(false), "it is the primary");
    assert_eq!(promote(&mut scene, 3), Ok(true));
    scene.look();
    scene.settle();
    assert_eq!((scene.goals(), scene.group.wanted), (vec![Secondary, Secondary, Primary], None));
    scene.kill(1);
    assert_eq!(promote(&mut scene, 1), Err(Refusal::NotReady));
}

/// Another monitor is built from the nodes. It decides nothing before everybody has come whom commits wait for.
#[test]
fn a_monitor_built_from_the_nodes() {
    let reports =
        |scene: &Scene| -> Vec<Report> { scene.keepers.values().map(|k| k.report.clone()).collect() };
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
        let mut scene = Scene::settled(3, 0);
        scene.switch_over();
        scene.settle();
        let (old, told, states) = (scene.group.clone(), reports(&scene), scene.goals());
        assert_eq!(states[1], Primary);
        scene.group = Group { monitor_started: scene.now, ..Group::default() };
        for (n, which) in order.into_iter().enumerate() {
            let rule = if which == 1 { old.rule.clone() } else { Rule::default() };
            let kept = operate::adopt(&mut scene.group, &told[which], &rule, 50, true, scene.now);
            assert_eq!(kept, Ok(states[which]), "{order:?}");
            assert_eq!(scene.group.awaited.is_empty(), n == 2, "they name each other");
            scene.rules();
            scene.look();
            let goes_on = ["go on from what the nodes tell", "have the members covered"];
            assert_eq!(scene.rules(), goes_on[..2 * usize::from(n == 2)]);
        }
        assert_eq!(
            (scene.group.term, scene.group.reign(), scene.goals()),
            (old.term, old.reign(), states.clone())
        );
        scene.settle();
        assert_eq!(scene.rules(), ["the rule is in force"]);
        assert_eq!(scene.members(), [1, 3]);
        scene.settle();
        assert_eq!(scene.goals(), states);
        scene.kill(2);
        scene.wait(20);
        scene.settle();
        assert!(scene.group.term > old.term && scene.goals().contains(&Primary), "it fails over");
    }
}

/// A group comes back to the monitor that it left, where its nodes were dropped meanwhile.
#[test]
fn a_group_that_was_emptied_takes_its_nodes_in_again() {
    let mut scene = Scene::settled(2, 0);
    let (rule, states, term) = (scene.group.rule.clone(), scene.goals(), scene.group.term);
    let (policy, now) = (scene.policy, scene.now);
    let told: Vec<Report> = scene.keepers.values().map(|keeper| keeper.report.clone()).collect();
    scene.group.nodes.retain(|node| node.id == NodeId(1));
    operate::remove(&mut scene.group, NodeId(1), true, &policy, now).unwrap();
    for (which, rule) in [(1, Rule::default()), (0, rule.clone())] {
        let kept = operate::adopt(&mut scene.group, &told[which], &rule, 50, true, now);
        assert_eq!(kept, Ok(states[which]));
    }
    scene.settle();
    assert_eq!((scene.goals(), scene.group.term, scene.members()), (states, term, vec![2]));
}

#[test]
fn who_may_not_come_to_another_monitor() {
    let policy = fsm::policy::Policy::default();
    let now = fsm::units::Moment(1_000_000);
    let report = |id, state, history, pledge| Report {
        history: Term(history),
        pledge: Term(pledge),
        term: Term(pledge.max(history)),
        timeline: Timeline(1),
        in_recovery: state == Secondary,
        ..Report::of(NodeId(id), state)
    };
    let rule = Rule::over(RuleNumber(4), BTreeSet::from([NodeId(2), NodeId(3)]), 0);
    let mut group = Group::default();
    let mut adopt = |report: &Report| operate::adopt(&mut group, report, &rule, 50, true, now);
    assert_eq!(adopt(&report(1, Draining, 3, 3)), Err(Refusal::ForeignTerm));
    assert_eq!(adopt(&report(1, Primary, 3, 3)), Ok(Primary));
    assert_eq!(adopt(&report(9, Primary, 3, 3)), Err(Refusal::HasPrimary));
    assert_eq!(
        adopt(&report(2, Secondary, 3, 4)),
        Err(Refusal::ForeignTerm),
        "its monitor has opened an election"
    );
    let heard = Report { term: Term(4), ..report(2, Secondary, 3, 3) };
    assert_eq!(adopt(&heard), Err(Refusal::ForeignTerm), "it has heard of one");
    assert_eq!(adopt(&report(2, Secondary, 3, 3)), Ok(Secondary));
    assert_eq!(
        adopt(&report(8, Secondary, 3, 3)),
        Ok(Secondary),
        "whether commits wait for it is seen later"
    );
    assert_eq!(group.awaited, BTreeSet::from([NodeId(3)]));
    assert_eq!(operate::perform_failover(&mut group, &policy, now), Err(Refusal::Incomplete));
    assert!(resume::give_up(&mut group, NodeId(3)) && !resume::give_up(&mut group, NodeId(3)));
}
