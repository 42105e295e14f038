//! Nodes that come and go: what is certain is never delayed, what rests on a time-out is waited for longer and longer.
use crate::scene::Scene;
use fsm::group::{Probe, Session};
use fsm::monitor::explain::explain;
use fsm::monitor::operate::{self, Refusal};
use fsm::monitor::time_outs::RULES_BY_TIME_OUT;
use fsm::monitor::{Facts, RULES};
use fsm::state::State::*;
use fsm::units::{Millis, NodeId};

impl Scene {
    fn writer(&self) -> i64 {
        self.group.writer().expect("a writer").id.0
    }

    /// Waits until a rule fires: for how many seconds, and which.
    fn next_rule(&mut self) -> (u64, &'static str) {
        self.rules();
        for second in 1..=600 {
            self.wait(1);
            if let Some(rule) = self.rules().first() {
                return (second, rule);
            }
        }
        panic!("no rule fires in ten minutes");
    }

    /// The primary's cable is pulled until another has its role, and put back: how long that took.
    fn flap(&mut self) -> u64 {
        let old = self.writer();
        self.unplug(old);
        let (seconds, rule) = self.next_rule();
        assert_eq!(rule, "silence outlasted every lease");
        self.settle();
        self.plug(old);
        assert_ne!(self.writer(), old);
        self.settle();
        seconds
    }

    fn flapped(times: usize, nodes: i64) -> Scene {
        let mut scene = Scene::settled(nodes, 0);
        for _ in 0..times {
            scene.flap();
        }
        scene.rules();
        scene
    }

    fn says(&self) -> (Option<String>, String) {
        let explained = explain(&Facts::new(&self.group, &self.policy, self.now));
        let wait = explained.wait.map(|wait| format!("{}. {}", wait.waits_for, wait.ends_by));
        (explained.patience, wait.unwrap_or_default())
    }

    fn ask_for_a_failover(&mut self) -> Result<(), Refusal> {
        let answer = operate::perform_failover(&mut self.group, &self.policy, self.now);
        self.look();
        answer
    }
}

#[test]
fn the_rules_that_count_are_rules() {
    for name in RULES_BY_TIME_OUT {
        assert!(RULES.iter().any(|rule| rule.name == name), "{name}");
    }
}

/// A time-out of 4 s; reports come each second.
#[test]
fn two_failovers_are_as_fast_as_ever_and_then_patience_doubles_up_to_a_minute() {
    let mut scene = Scene::settled(2, 0);
    let waits: Vec<u64> = (0..8).map(|_| scene.flap()).collect();
    assert_eq!(waits, [5, 5, 9, 17, 33, 61, 61, 61]);
}

#[test]
fn what_was_long_ago_does_not_count() {
    let mut scene = Scene::flapped(4, 2);
    scene.wait(590);
    assert_eq!(scene.flap(), 5);
}

#[test]
fn patience_can_be_turned_off_and_is_never_less_than_the_time_out() {
    let mut scene = Scene::settled(2, 0);
    scene.policy.flapping_window = Millis(0);
    assert_eq!((0..6).map(|_| scene.flap()).max(), Some(5));
    let mut scene = Scene::settled(2, 0);
    scene.policy.flapping_longest_wait = Millis(1);
    assert_eq!((0..6).map(|_| scene.flap()).min(), Some(5));
    let mut scene = Scene::settled(2, 0);
    scene.policy.flapping_allowance = 0;
    assert_eq!([scene.flap(), scene.flap(), scene.flap()], [5, 9, 17]);
}

/// A lease that is longer than the patience bounds it from below.
#[test]
fn a_lease_has_to_be_over_however_short_the_patience() {
    let mut scene = Scene::flapped(2, 2);
    scene.policy.lease = Millis(20_000);
    scene.settle();
    assert_eq!(scene.flap(), 21);
}

#[test]
fn what_is_certain_is_never_delayed() {
    let mut scene = Scene::flapped(6, 2);
    let old = scene.writer();
    scene.kill(old);
    scene.settle();
    assert_eq!(scene.rules()[..2], ["the primary is gone", "enough pledges"]);
    assert_ne!(scene.writer(), old);

    // It was silent, and is found dead while it is waited for.
    let mut scene = Scene::flapped(6, 2);
    let old = scene.writer();
    scene.unplug(old);
    scene.wait(20);
    assert_eq!(scene.rules(), [""; 0]);
    scene.kill(old);
    assert_eq!(scene.rules(), ["the primary is gone"]);

    let mut scene = Scene::flapped(6, 2);
    let old = scene.writer();
    let report = &mut scene.keeper(old).report;
    (report.leaving, report.fenced) = (true, true);
    scene.report(old);
    scene.kill(old);
    scene.settle();
    assert_eq!(scene.rules()[..3], ["goodbye", "handed over", "enough pledges"]);

    let mut scene = Scene::flapped(6, 2);
    scene.switch_over();
    scene.settle();
    assert_eq!(scene.rules()[..2], ["handed over", "ask for a pledge"]);
}

#[test]
fn a_primary_that_returns_in_time_goes_on() {
    let mut scene = Scene::flapped(3, 2);
    let (reigns, old) = (scene.group.reigns.len(), scene.writer());
    let (patience, wait) = scene.says();
    assert_eq!(
        patience.as_deref(),
        Some(
            "3 failovers by a time-out within 10 min: a silent primary is waited for 16 s; \
             pg_autoctl perform failover replaces it without that wait, \
             and after pg_autoctl perform forget-failovers the next failover is as fast as ever"
        )
    );
    assert_eq!(wait, "", "the group is settled");
    scene.unplug(old);
    scene.wait(12);
    assert_eq!(
        scene.says().1,
        format!(
            "node {old} to come back, which is replaced in 4 s otherwise: 3 failovers by a time-out within 10 min. \
             its return, or that time; pg_autoctl perform failover replaces it without that wait"
        )
    );
    scene.plug(old);
    scene.wait(1);
    scene.settle();
    assert_eq!(scene.rules(), [""; 0]);
    assert_eq!((scene.group.reigns.len(), scene.writer()), (reigns, old));
}

#[test]
fn an_operator_does_not_wait() {
    let mut scene = Scene::flapped(5, 2);
    let old = scene.writer();
    scene.unplug(old);
    scene.wait(6);
    assert_eq!(scene.ask_for_a_failover(), Ok(()));
    assert_eq!(scene.rules(), ["handed over"]);
    scene.settle();
    scene.plug(old);
    assert_ne!(scene.writer(), old);

    // He asks while a lease may still run. No word of his makes it shorter.
    let mut scene = Scene::flapped(5, 2);
    let old = scene.writer();
    scene.unplug(old);
    scene.wait(1);
    scene.group.node_mut(NodeId(old)).expect("a node").session = Session::Lost;
    assert_eq!(scene.ask_for_a_failover(), Ok(()));
    let (_, wait) = scene.says();
    assert!(wait.starts_with(&format!("the last lease of node {old} to run out")), "{wait}");
    assert_eq!(scene.next_rule(), (4, "handed over"));

    // He names the one that is to follow.
    let mut scene = Scene::flapped(5, 3);
    let old = scene.writer();
    let wanted = if old == 3 { 2 } else { 3 };
    scene.unplug(old);
    scene.wait(6);
    let (policy, now) = (scene.policy, scene.now);
    assert_eq!(operate::perform_promotion(&mut scene.group, NodeId(wanted), &policy, now), Ok(true));
    scene.settle();
    assert_eq!(scene.writer(), wanted);
}

/// It comes back before the election that an operator has asked for: it hands over in good order.
#[test]
fn a_primary_that_is_back_before_its_lease_is_over_hands_over() {
    let mut scene = Scene::settled(2, 0);
    scene.unplug(1);
    scene.group.nodes[0].session = Session::Lost;
    scene.ask_for_a_failover().unwrap();
    assert_eq!(scene.goals(), [Draining, Secondary]);
    scene.plug(1);
    assert_eq!(scene.rules()[..2], ["handed over", "ask for a pledge"]);
    assert_eq!(scene.goals(), [Secondary, Primary]);
}

#[test]
fn forgotten_failovers_do_not_count() {
    let mut scene = Scene::flapped(5, 2);
    let old = scene.writer();
    scene.unplug(old);
    scene.wait(6);
    assert_eq!(scene.rules(), [""; 0]);
    scene.group.lost_reigns.clear();
    scene.look();
    assert_eq!(scene.rules(), ["silence outlasted every lease"]);
    assert_eq!(scene.says().0, None);
}

/// Frozen keepers and slow recoveries are waited for as well, and count.
#[test]
fn every_time_out_grows() {
    let mut scene = Scene::settled(2, 0);
    for expected in [11, 11, 21, 41] {
        let old = scene.writer();
        scene.wait(11);
        scene.keeper(old).alive = false;
        assert_eq!(scene.next_rule(), (expected, "the keeper has stalled"));
        scene.settle();
        scene.plug(old);
    }

    let mut scene = Scene::settled(2, 0);
    for expected in [11, 11, 21, 41] {
        let old = scene.writer();
        scene.unplug(old);
        let now = scene.now;
        let node = scene.group.node_mut(NodeId(old)).expect("a node");
        (node.session, node.probe, node.probe_since) = (Session::Lost, Probe::Starting, now);
        assert_eq!(scene.next_rule(), (expected, "crash recovery takes too long"));
        scene.settle();
        scene.plug(old);
    }
}

/// Among candidates with the same WAL and the same priority, the one that has not lost the role lately.
#[test]
fn the_role_goes_to_whoever_does_not_flap() {
    let mut scene = Scene::settled(3, 0);
    let mut writers = vec![scene.writer()];
    for _ in 0..2 {
        scene.flap();
        writers.push(scene.writer());
    }
    assert_eq!(writers, [1, 2, 3], "and not 1 again, which comes first by its number");

    // WAL and priority come first, and so does who is asked to hand over.
    let mut scene = Scene::flapped(1, 3);
    assert_eq!(scene.writer(), 2);
    scene.group.nodes[0].priority = 60;
    scene.flap();
    assert_eq!(scene.writer(), 1);
    let mut scene = Scene::flapped(1, 2);
    scene.switch_over();
    scene.settle();
    assert_eq!(scene.writer(), 1, "asked to hand over, to the only one there is");
}
