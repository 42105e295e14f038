//! Monitors that know less than their nodes: started from an old copy of their directory, with the word of their own files that it is
//! old, or without (the whole machine was put back).
use crate::scene::Scene;
use fsm::message::Receiver;
use fsm::monitor::operate::{self, Refusal};
use fsm::monitor::{Facts, explain, resume};
use fsm::state::State::*;
use fsm::units::{NodeId, Term};
use std::collections::BTreeSet;

const KNOWS: bool = true;

fn awaited(scene: &Scene) -> Vec<i64> {
    scene.group.awaited.iter().map(|node| node.0).collect()
}

/// A failover has happened since.
#[test]
fn after_a_failover_it_goes_on_from_the_present_primary() {
    for knows in [true, false] {
        let mut scene = Scene::settled(2, 0);
        let copy = scene.group.clone();
        scene.kill(1);
        scene.settle();
        scene.start(1);
        scene.settle();
        let (goals, term) = (scene.goals(), scene.group.term);
        assert_eq!(goals, [Secondary, Primary]);
        scene.rules();
        scene.restore_monitor(copy, knows);
        scene.report(1);
        assert_eq!((awaited(&scene), scene.goals()), (vec![2], vec![Primary, Secondary]), "as in the copy");
        scene.step(1);
        assert_eq!(scene.keeper(1).report.state, Secondary, "it is told nothing");
        scene.settle();
        assert_eq!(
            scene.rules(),
            ["go on from what the nodes tell", "have the members covered", "the rule is in force"]
        );
        assert_eq!((scene.goals(), scene.group.term, scene.members()), (goals, term, vec![1]));
        assert_eq!(scene.group.reigns.len(), 2, "the reign between the copy and now is the next one");
        scene.kill(2);
        scene.wait(10);
        scene.settle();
        assert_eq!(scene.goals(), [WaitPrimary, Demoted]);
        assert!(scene.group.term > term);
    }
}

/// The standby was lost since: the primary has commits that nobody else has, and the copy says that the standby is eligible.
#[test]
fn a_standby_that_was_lost_since_is_not_elected() {
    let mut scene = Scene::settled(2, 0);
    let copy = scene.group.clone();
    scene.kill(2);
    scene.settle();
    assert_eq!(scene.goals()[0], WaitPrimary);
    scene.keeper(1).alive = false;
    scene.start(2);
    scene.restore_monitor(copy, KNOWS);
    scene.rules();
    scene.silence(1);
    scene.keeper(2).report.receiver = Receiver::Lost;
    scene.wait(120);
    assert_eq!((scene.rules(), awaited(&scene)), (vec![], vec![1]));
    let wait = explain::explain(&Facts::new(&scene.group, &scene.policy, scene.now))
        .wait
        .expect("what it waits for");
    assert!(wait.waits_for.starts_with("node 1 to report to this monitor"), "{wait:?}");
    scene.keeper(1).alive = true;
    scene.settle();
    assert_eq!((scene.goals(), scene.members()), (vec![Primary, Secondary], vec![2]));
}

/// An election was under way when the monitor was lost: nobody knows whom it has recorded, so there is a new one.
#[test]
fn an_election_that_nobody_remembers_is_held_again() {
    let mut scene = Scene::settled(3, 0);
    let copy = scene.group.clone();
    scene.kill(1);
    for id in [2, 3] {
        scene.report(id);
        scene.step(id);
        scene.report(id);
    }
    assert_eq!(scene.keeper(3).report.pledge, Term(2));
    scene.restore_monitor(copy, KNOWS);
    scene.rules();
    scene.settle();
    assert_eq!(
        (scene.rules(), awaited(&scene)),
        (vec![], vec![1]),
        "the primary may write without a lease by now"
    );
    scene.start(1);
    scene.settle();
    assert_eq!(scene.rules()[0], "go on from what the nodes tell");
    let goals = scene.goals();
    assert_eq!(goals.iter().filter(|goal| **goal == Primary).count(), 1, "{goals:?}");
    assert!(scene.group.term > Term(2) && goals.iter().filter(|goal| **goal == Secondary).count() == 2);
}

/// The primary never comes back. By an operator's word it goes on without; then whatever the others have counts, and all of them must
/// be there to tell.
#[test]
fn what_is_given_up_by_hand_is_not_waited_for() {
    let mut scene = Scene::settled(3, 0);
    let copy = scene.group.clone();
    scene.kill(1);
    scene.restore_monitor(copy, KNOWS);
    scene.settle();
    let (policy, now) = (scene.policy, scene.now);
    assert_eq!(operate::perform_failover(&mut scene.group, &policy, now), Err(Refusal::Incomplete));
    assert_eq!(operate::remove(&mut scene.group, NodeId(2), true, &policy, now), Err(Refusal::Incomplete));
    assert_eq!(
        operate::register(&mut scene.group, NodeId(4), 50, true, &policy, now),
        Err(Refusal::Incomplete)
    );
    scene.rules();
    assert!(resume::give_up(&mut scene.group, NodeId(1)) && !resume::give_up(&mut scene.group, NodeId(1)));
    scene.look();
    scene.settle();
    assert_eq!(scene.rules()[..2], ["go on from what the nodes tell", "enough pledges"]);
    assert_eq!((scene.goals(), scene.group.nodes.len()), (vec![Primary, Secondary], 2));
}

/// A node was added since, of which the copy knows nothing: the others name it, and it has to be brought here.
#[test]
fn a_node_that_the_copy_does_not_know_is_awaited() {
    let mut scene = Scene::settled(2, 0);
    let copy = scene.group.clone();
    scene.register(3, 50, true);
    scene.settle();
    scene.switch_over();
    scene.settle();
    let (reports, old) = (scene.keepers.clone(), scene.group.clone());
    assert_eq!(old.reign().map(|reign| reign.writer), Some(NodeId(2)));
    scene.keeper(3).alive = false;
    scene.restore_monitor(copy, KNOWS);
    scene.settle();
    assert_eq!(awaited(&scene), [3]);
    let report = &reports[&NodeId(3)].report;
    let kept = operate::adopt(&mut scene.group, report, &Default::default(), 50, true, scene.now);
    assert_eq!(kept, Ok(Secondary));
    scene.keeper(3).alive = true;
    scene.settle();
    assert_eq!((scene.goals(), scene.members()), (vec![Secondary, Primary, Secondary], vec![1, 3]));
}

/// The reign that is missing in the copy is not the next one: nobody can tell any more where the histories before it parted.
#[test]
fn where_a_reign_is_missing_histories_are_not_compared() {
    let mut scene = Scene::settled(2, 0);
    let copy = scene.group.clone();
    for _ in 0..3 {
        scene.switch_over();
        scene.settle();
    }
    assert_eq!(scene.group.term, Term(4));
    scene.restore_monitor(copy, KNOWS);
    scene.settle();
    let reigns: Vec<u64> = scene.group.reigns.iter().map(|reign| reign.term.0).collect();
    assert_eq!((reigns, scene.group.fork(Term(1))), (vec![4], None));
    assert_eq!(scene.goals(), [Secondary, Primary]);
}

/// Nodes moved to another monitor while two of four were with the old one, which has elected one of those two since.
#[test]
fn a_group_that_was_divided_between_two_monitors() {
    let mut old = Scene::settled(4, 2);
    let (rule, told) = (old.group.rule.clone(), old.keepers.clone());
    assert_eq!((rule.wait_for, old.members()), (2, vec![2, 3, 4]));
    let mut group = fsm::group::Group { number_sync_standbys: 2, ..Default::default() };
    for (id, rule) in [(1, rule), (2, Default::default())] {
        let report = &told[&NodeId(id)].report;
        assert!(operate::adopt(&mut group, report, &rule, 50, true, old.now).is_ok());
    }
    assert_eq!(group.awaited, BTreeSet::from([NodeId(3), NodeId(4)]));
    // The old monitor hears 3 and 4 only. Two pledges of three meet every commit that waited for two.
    old.keeper(2).alive = false;
    old.kill(1);
    old.wait(10);
    old.settle();
    let writer = old.group.reign().map(|reign| reign.writer).expect("a writer");
    assert!(old.group.term == Term(2) && [NodeId(3), NodeId(4)].contains(&writer), "{writer}");
    assert!(fsm::monitor::decide(&group, &old.policy, old.now).is_none(), "the new one waits for them");
    let told = old.keepers.clone();
    for id in [3, 4] {
        let report = &told[&NodeId(id)].report;
        let rule = report.in_force.clone().filter(|_| report.state.writes()).unwrap_or_default();
        let kept = operate::adopt(&mut group, report, &rule, 50, true, old.now);
        assert!(kept.is_ok(), "node {id}, {:?}: {kept:?}", report.state);
    }
    old.group = group;
    old.keeper(2).alive = true;
    old.look();
    old.start(1);
    old.settle();
    assert_eq!(old.group.reign().map(|reign| reign.writer), Some(writer));
    let goals = old.goals();
    assert_eq!(goals.iter().filter(|goal| **goal == Secondary).count(), 3, "{goals:?}");
}

/// Another monitor where the one before is gone, and the primary, which was never promoted, came back as a standby: nobody remembers
/// that it wrote. Everybody is asked, in whatever order they come; also where an election was under way.
#[test]
fn a_site_that_came_back_without_its_monitor() {
    for pledged in [false, true] {
        for order in [[1, 2, 3], [3, 2, 1]] {
            let mut scene = Scene::settled(3, 0);
            let copy = scene.group.clone();
            scene.kill(1);
            if pledged {
                for id in [2, 3] {
                    scene.report(id);
                    scene.step(id);
                    scene.report(id);
                }
            }
            let report = &mut scene.keeper(1).report;
            (report.state, report.in_recovery, report.fenced) = (Demoted, true, true);
            let told = scene.keepers.clone();
            scene.rules();
            scene.group = fsm::group::Group { monitor_started: scene.now, ..Default::default() };
            for (n, id) in order.into_iter().enumerate() {
                let report = &told[&NodeId(id)].report;
                let kept = operate::adopt(&mut scene.group, report, &Default::default(), 50, true, scene.now);
                assert_eq!(kept, Ok(report.state));
                assert_eq!(resume::is_possible(&scene.group), n == 2, "{order:?}");
            }
            scene.start(1);
            scene.settle();
            assert_eq!(scene.rules()[..2], ["go on from what the nodes tell", "enough pledges"]);
            let primaries = scene.goals().iter().filter(|goal| **goal == Primary).count();
            assert_eq!((primaries, scene.members().len()), (1, 2), "{:?}", scene.goals());
            assert!(scene.group.term > copy.term.next() || !pledged);
        }
    }
}

/// The monitor was lost while the winner of an election was being promoted. That election is ended: the winner may have been recorded, and
/// nobody else can have been.
#[test]
fn a_winner_that_was_promoted_meanwhile_is_recorded() {
    let mut scene = Scene::settled(3, 0);
    let copy = scene.group.clone();
    scene.kill(1);
    scene.wait(10);
    for _ in 0..4 {
        for id in [2, 3] {
            scene.report(id);
            scene.step(id);
        }
        if scene.keeper(2).report.state == PreparePromotion {
            break;
        }
    }
    assert_eq!(scene.keeper(2).report.promotion.map(|made| made.term), Some(Term(2)));
    scene.restore_monitor(copy, KNOWS);
    scene.start(1);
    scene.rules();
    scene.settle();
    assert_eq!(scene.rules()[..2], ["go on from what the nodes tell", "record the winner"]);
    let reign = scene.group.reign().expect("a reign");
    assert_eq!((reign.term, reign.writer, scene.goals()[1]), (Term(2), NodeId(2), Primary));
}
