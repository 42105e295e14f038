//! Groups that wait for somebody: what they say, and what operators can do (law 8).
use crate::scene::Scene;
use fsm::monitor::Facts;
use fsm::monitor::explain::{Explanation, explain};
use fsm::monitor::force::{self, Gap};
use fsm::monitor::operate::{self, Refusal};
use fsm::state::State::*;
use fsm::units::{Lsn, NodeId};

impl Scene {
    fn explained(&self) -> Explanation {
        explain(&Facts::new(&self.group, &self.policy, self.now))
    }

    fn waits_for(&self) -> String {
        self.explained().wait.map(|wait| format!("{}. {}", wait.waits_for, wait.ends_by)).unwrap_or_default()
    }

    fn force(&mut self, id: i64) -> Result<Gap, Refusal> {
        let (policy, now) = (self.policy, self.now);
        let forced = force::force_promotion(&mut self.group, NodeId(id), &policy, now);
        self.look();
        forced
    }

    fn set_number(&mut self, number: u32) {
        self.group.number_sync_standbys = number;
        self.look();
    }
}

#[test]
fn a_settled_group_waits_for_nothing() {
    for nodes in 1..=3 {
        assert_eq!(Scene::settled(nodes, 0).explained().wait, None);
    }
    assert_eq!(Scene::settled(1, 0).explained().failover, "none: there is no other node");
    let failover = Scene::settled(3, 0).explained().failover;
    assert_eq!(failover, "would promote node 2, which has WAL up to 0/64 and candidate priority 50");
}

/// Law 4: nobody is elected from a reign that wrote alone. The operator knows that its writer is gone for good.
#[test]
fn a_primary_that_wrote_alone_is_gone_for_good() {
    let mut scene = Scene::settled(2, 0);
    scene.kill(2);
    scene.settle();
    scene.wait(5);
    scene.settle();
    assert_eq!(scene.goals()[0], WaitPrimary);
    scene.keeper(1).report.lsn = Some(Lsn(300));
    scene.report(1);
    scene.kill(1);
    scene.start(2);
    scene.wait(600);
    assert_eq!(scene.goals()[0], WaitPrimary, "nobody was elected");
    assert_eq!(
        scene.waits_for(),
        "node 1, the primary, which is away: it was writing alone, and nobody else is known to have its commits. \
         the start of its server; when it is gone for good: pg_autoctl perform force-promotion"
    );
    let gap = scene.force(2).unwrap();
    assert_eq!(
        gap.to_string(),
        "node 2 has WAL up to 0/64; the last primary (node 1) had 200 bytes more, up to 0/12C; \
         what they wrote after their last report is not known"
    );
    scene.settle();
    assert_eq!(scene.goals(), [Demoted, WaitPrimary]);
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Primary], "it comes back, and nobody else's commits are lost");
    assert!(scene.keeper(1).report.lsn < Some(Lsn(300)), "what it alone had is not in the history");
}

/// Of two members that commits wait for one of, one pledge is not enough.
#[test]
fn two_of_three_are_gone_for_good() {
    let mut scene = Scene::settled(3, 0);
    assert_eq!(scene.force(1), Err(Refusal::IsWriter));
    assert_eq!(scene.force(2), Err(Refusal::WriterLives));
    scene.kill(3);
    scene.kill(1);
    scene.wait(600);
    assert_eq!(scene.rules(), [""; 0]);
    assert_eq!(scene.force(3), Err(Refusal::NoCopy));
    assert!(
        scene.waits_for().contains("commits may be on node 3 alone, away as well"),
        "{}",
        scene.waits_for()
    );
    let wait = scene.explained();
    assert!(wait.failover.starts_with("none is possible: "), "{}", wait.failover);

    assert_eq!(scene.force(4), Err(Refusal::NoSuchNode));
    scene.force(2).unwrap();
    assert!(scene.explained().failover.starts_with("one is under way"));
    scene.report(2);
    scene.force(2).unwrap();
    scene.settle();
    scene.settle();
    assert_eq!(scene.goals()[1], WaitPrimary);
    for id in [1, 3] {
        scene.start(id);
    }
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Primary, Secondary]);
}

/// An election that cannot find its pledges is replaced by a forced one; should the missing node come back first, nothing is lost.
#[test]
fn a_forced_election_takes_what_comes_back() {
    let mut scene = Scene::settled(3, 0);
    scene.kill(1);
    scene.keeper(3).report.lsn = Some(Lsn(200));
    scene.report(3);
    scene.kill(3);
    scene.report(2);
    scene.force(2).unwrap();
    scene.start(3);
    scene.report(3);
    scene.settle();
    assert_eq!(scene.goals()[2], Primary, "it has the most WAL: {:?}", scene.rules());
    assert!(scene.keeper(2).report.lsn >= Some(Lsn(200)));
}

/// A lease of the old primary may still run when the operator's word comes.
#[test]
fn a_forced_promotion_waits_for_the_last_lease() {
    let mut scene = Scene::settled(3, 0);
    scene.kill(3);
    scene.step(1);
    scene.kill(1);
    scene.report(2);
    scene.force(2).unwrap();
    assert!(scene.now <= scene.group.granted_until);
    scene.tick(2);
    assert_eq!(scene.goals()[1], ReportLsn);
    assert!(scene.waits_for().contains("the last lease to run out"), "{}", scene.waits_for());
    scene.wait(5);
    scene.settle();
    assert_eq!(scene.goals()[1], WaitPrimary);
}

/// Commits wait for two members that are away; the primary lives. Lowering the number is the way out.
#[test]
fn both_members_are_lost_with_number_sync_standbys_1() {
    let mut scene = Scene::settled(3, 1);
    scene.kill(2);
    scene.kill(3);
    scene.wait(600);
    assert_eq!(scene.rules(), [""; 0]);
    assert_eq!(
        scene.waits_for(),
        "1 of nodes 2 and 3 to receive again: commits wait for them. the start of their servers; \
         or pg_autoctl set formation number-sync-standbys 0, with which commits wait for fewer"
    );
    assert_eq!(scene.force(2), Err(Refusal::WriterLives));
    scene.set_number(0);
    scene.settle();
    assert_eq!(scene.goals()[0], WaitPrimary);
    assert_eq!(scene.waits_for().split('.').next(), Some("node 2, which is away"));
    for id in [2, 3] {
        scene.start(id);
    }
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Secondary, Secondary]);
    assert_eq!(scene.explained().wait, None);
}

/// Law 9: a former primary that was never rewound has WAL that the recorded history left out, however much.
#[test]
fn whose_wal_was_left_out_is_promoted_by_nobodys_word() {
    let mut scene = Scene::settled(2, 0);
    scene.keeper(1).report.lsn = Some(Lsn(500));
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.goals(), [Demoted, WaitPrimary]);
    scene.kill(2);
    scene.start(1);
    scene.report(1);
    scene.wait(60);
    assert_eq!(scene.force(1), Err(Refusal::NoCopy));
    scene.start(2);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Primary]);
}

/// A site came back before its monitor, and an operator has told the primary to write alone. Its standby has none of what it wrote.
#[test]
fn whoever_was_told_to_write_alone_is_taken_in() {
    let mut scene = Scene::settled(2, 0);
    scene.kill(2);
    let report = &mut scene.keeper(1).report;
    (report.state, report.rule, report.lsn) = (WaitPrimary, fsm::units::RuleNumber(0), Some(Lsn(500)));
    scene.report(1);
    assert_eq!(scene.rules(), ["take in who was told to write alone"]);
    assert!(scene.group.unleased);
    scene.kill(1);
    scene.start(2);
    scene.wait(600);
    assert_eq!(scene.goals()[0], WaitPrimary, "nobody is elected in its place");
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Secondary]);
    assert!(scene.keeper(2).report.lsn >= Some(Lsn(500)));
}

/// A node that an election may need is not dropped behind its back, by force or not.
#[test]
fn nobody_is_dropped_out_of_an_election() {
    for force in [false, true] {
        let mut scene = Scene::settled(3, 0);
        scene.kill(1);
        scene.kill(2);
        scene.report(3);
        scene.force(3).unwrap();
        let (policy, now) = (scene.policy, scene.now);
        let removal = operate::remove(&mut scene.group, NodeId(2), force, &policy, now);
        assert_eq!(removal, Err(Refusal::NeededByElection));
        scene.wait(5);
        scene.settle();
        operate::remove(&mut scene.group, NodeId(2), force, &policy, now).unwrap();
        scene.settle();
        assert_eq!(scene.group.nodes.len(), 2, "afterwards it is");
    }
}

/// One in whose promotion nobody has a say.
#[test]
fn whoever_was_promoted_by_hand_is_not_forced() {
    let mut scene = Scene::settled(3, 0);
    scene.kill(1);
    scene.kill(3);
    scene.keeper(2).report.promotion = Some(fsm::message::Promotion {
        term: fsm::units::Term(0),
        timeline: fsm::units::Timeline(2),
        switch_lsn: Lsn(100),
    });
    scene.report(2);
    assert_eq!(scene.force(2), Err(Refusal::NoCopy));
}

/// The primary dies before it has confirmed a rule without the node: that one pledges, is not promoted, and leaves.
#[test]
fn a_wish_outlasts_an_election() {
    for maintenance in [true, false] {
        let mut scene = Scene::settled(3, 0);
        scene.keeper(1).alive = false;
        if maintenance {
            scene.start_maintenance(2).unwrap();
        } else {
            scene.remove(2);
        }
        scene.kill(1);
        scene.settle();
        assert_eq!(scene.goals().last(), Some(&WaitPrimary));
        let rules = scene.rules();
        assert!(rules.contains(&"carry out what was asked before the election"), "{rules:?}");
        scene.start(1);
        scene.settle();
        let expected =
            if maintenance { vec![Secondary, Maintenance, Primary] } else { vec![Secondary, Primary] };
        assert_eq!(scene.goals(), expected, "{:?}", scene.rules());
    }
}

/// Nobody else can be promoted: it is, and stays.
#[test]
fn whoever_was_to_leave_is_promoted_where_nobody_else_can_be() {
    let mut scene = Scene::new(0);
    for (id, priority) in [(1, 50), (2, 50), (3, 0)] {
        scene.register(id, priority, true);
        scene.settle();
    }
    scene.keeper(1).alive = false;
    scene.remove(2);
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.goals()[1], Primary);
    assert_eq!(scene.group.nodes[1].wish, None);
}

/// With number_sync_standbys = 1 the one that is left is needed until the old primary is back.
#[test]
fn a_wish_waits_until_enough_others_are_there() {
    let mut scene = Scene::settled(3, 1);
    scene.keeper(1).alive = false;
    scene.start_maintenance(2).unwrap();
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.goals()[1..], [Secondary, Primary]);
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Maintenance, Primary]);

    let mut scene = Scene::settled(3, 1);
    scene.keeper(1).alive = false;
    scene.start_maintenance(2).unwrap();
    scene.kill(1);
    scene.settle();
    scene.stop_maintenance(2);
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Secondary, Primary], "not wanted any more");
}
