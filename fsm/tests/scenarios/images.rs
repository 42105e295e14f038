//! Nodes that come back on a disk of an earlier time.
use crate::scene::{Keeper, Scene};
use fsm::monitor::{Facts, force, images};
use fsm::state::State::*;
use fsm::units::{Lsn, NodeId};

/// An image of the node's disk; after that the node is started a few times more.
fn image_of(scene: &mut Scene, id: i64) -> Keeper {
    let image = scene.keeper(id).clone();
    scene.keeper(id).report.boot += 5;
    scene.settle();
    scene.rules();
    image
}

fn is_old_image(scene: &Scene, id: i64) -> bool {
    scene.group.node(NodeId(id)).is_some_and(|node| node.old_image.is_some())
}

fn note(scene: &Scene, id: i64) -> Option<String> {
    let facts = Facts::new(&scene.group, &scene.policy, scene.now);
    images::note(&facts, scene.group.node(NodeId(id)).expect("a node of the scene"))
}

fn explain(scene: &Scene) -> String {
    let explained = fsm::monitor::explain::explain(&Facts::new(&scene.group, &scene.policy, scene.now));
    explained.wait.map(|wait| format!("{} ({})", wait.waits_for, wait.ends_by)).unwrap_or_default()
}

#[test]
fn a_standby_on_an_old_disk_is_no_candidate_until_it_is_covered() {
    let mut scene = Scene::settled(2, 0);
    let image = image_of(&mut scene, 2);
    scene.start_from(2, image);
    scene.report(2);
    assert_eq!(scene.rules(), ["an old image is not eligible"]);
    assert_eq!(scene.goals(), [Primary, CatchingUp]);
    assert_eq!(scene.members(), [2], "commits go on waiting for it");
    scene.kill(1);
    scene.wait(120);
    assert_eq!(scene.rules(), [""; 0], "what only the primary has is not given up");
    assert!(note(&scene, 2).is_some_and(|note| note.contains("no candidate until")), "{:?}", note(&scene, 2));
    let wait = explain(&scene);
    assert!(
        wait.contains("node 1, the primary, which is away: node 2 runs on a disk of an earlier time"),
        "{wait}"
    );
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Secondary]);
    assert_eq!((is_old_image(&scene, 2), note(&scene, 2)), (false, None));
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.goals(), [Demoted, WaitPrimary]);
}

/// The rule that a primary confirms may have been covered by the copy that is gone.
#[test]
fn a_rule_that_was_given_before_does_not_cover_it() {
    let mut scene = Scene::settled(2, 0);
    let image = image_of(&mut scene, 2);
    let given = scene.group.last_rule_number;
    scene.start_from(2, image.clone());
    scene.settle();
    assert_eq!(
        scene.rules(),
        [
            "an old image is not eligible",
            "have an old image covered",
            "the rule is in force",
            "an old image is whole again",
            "caught up"
        ]
    );
    let covered_by = scene.group.rule.number;
    assert!(covered_by > given);
    // And again: a third copy, of the same time as the second.
    scene.start_from(2, image);
    scene.report(2);
    assert!(is_old_image(&scene, 2), "its starts were counted on past those of the first copy");
    scene.settle();
    assert!(scene.group.rule.number > covered_by && !is_old_image(&scene, 2));
}

#[test]
fn a_primary_on_an_old_disk_never_writes_by_it() {
    let mut scene = Scene::settled(2, 0);
    let image = image_of(&mut scene, 1);
    scene.start_from(1, image);
    scene.report(1);
    assert_eq!(scene.rules(), ["the primary is an old image"]);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Primary]);
    assert!(!is_old_image(&scene, 1));
}

#[test]
fn after_a_failover_it_comes_back_as_a_standby() {
    let mut scene = Scene::settled(2, 0);
    let image = image_of(&mut scene, 1);
    scene.kill(1);
    scene.settle();
    scene.start_from(1, image);
    scene.report(1);
    assert!(is_old_image(&scene, 1));
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Primary]);
    assert!(!is_old_image(&scene, 1));
}

/// The winner's disk is replaced before it is recorded: whoever else has pledged is asked again.
#[test]
fn a_winner_on_an_old_disk_is_not_recorded() {
    let mut scene = Scene::settled(3, 0);
    let image = image_of(&mut scene, 2);
    scene.kill(1);
    scene.report(2);
    scene.report(3);
    scene.step(2);
    scene.step(3);
    scene.report(2);
    scene.report(3);
    let winner = scene.group.election.as_ref().and_then(|election| election.winner);
    assert_eq!(winner, Some(NodeId(2)));
    scene.rules();
    scene.start_from(2, image);
    scene.report(2);
    scene.settle();
    assert_eq!(scene.rules(), [""; 0], "the commits of the rule are on 2 or on 3, and 2 does not count");
    scene.start(1);
    scene.settle();
    assert_eq!(
        scene.goals(),
        [Secondary, Secondary, Primary],
        "the old primary's pledge shows that 3 has all"
    );
    assert!(!is_old_image(&scene, 2));
}

/// With nobody else there is only an operator's word.
#[test]
fn a_lone_node_waits_for_an_operator() {
    let mut scene = Scene::settled(1, 0);
    let image = image_of(&mut scene, 1);
    scene.start_from(1, image);
    scene.report(1);
    scene.settle();
    assert_eq!(scene.rules(), ["the primary is an old image"]);
    assert_eq!(scene.goals(), [Demoted]);
    assert!(note(&scene, 1).is_some_and(|note| note.contains("does not write by it")));
    assert!(explain(&scene).contains("perform force-promotion"), "{}", explain(&scene));
    let gap = force::force_promotion(&mut scene.group, NodeId(1), &scene.policy, scene.now);
    assert!(gap.is_ok_and(|gap| gap.others.is_empty()));
    scene.settle();
    assert_eq!(scene.goals(), [Single]);
    assert!(!is_old_image(&scene, 1));
}

/// It was started again after it had been found out, and before it was covered.
#[test]
fn an_old_disk_that_is_started_again_is_covered_all_the_same() {
    let mut scene = Scene::settled(2, 0);
    let image = image_of(&mut scene, 2);
    scene.start_from(2, image);
    scene.report(2);
    scene.step(2);
    scene.report(2);
    scene.start(2);
    scene.report(2);
    scene.settle();
    assert_eq!((is_old_image(&scene, 2), scene.goals()), (false, vec![Primary, Secondary]));
}

/// The standby has WAL that the disk of the primary lacks: it must not stream on from where its own ends (law 9).
#[test]
fn a_forced_writer_on_an_old_disk_begins_a_history_of_its_own() {
    let mut scene = Scene::settled(2, 0);
    let image = image_of(&mut scene, 1);
    scene.kill(2);
    scene.settle();
    assert_eq!(scene.goals(), [WaitPrimary, CatchingUp]);
    scene.kill(1);
    scene.keeper(2).report.lsn = Some(Lsn(300));
    scene.start(2);
    scene.start_from(1, image);
    scene.report(1);
    let history = scene.keeper(2).report.history;
    force::force_promotion(&mut scene.group, NodeId(1), &scene.policy, scene.now).expect("nobody else can");
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Secondary]);
    assert_eq!(scene.group.fork(history), Some(Lsn(100)), "what is beyond has to go");
}
