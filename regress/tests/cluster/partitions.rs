//! Cables between the machines of a pair are cut, one way or both, while clients reach everybody.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN, WRITE};
use regress::network::Network;
use regress::oracles::{Oracles, tell};
use regress::session::Session;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than every time-out: lease, unhealthy time-out and this one.
const STALL_TIMEOUT: &str = "5s";
const CUT_OFF: Duration = Duration::from_secs(10);
/// Nobody notices a pause that is shorter than a client's patience.
const NO_PAUSE: Duration = Duration::from_secs(2);

fn pair(name: &str) -> Cluster {
    let cluster = Cluster::on_machines(name).with_pair();
    cluster.set_on_monitor("stall_timeout", STALL_TIMEOUT);
    cluster
}

#[test]
fn a_primary_cut_off_from_monitor_and_standby() {
    if !Network::is_possible() {
        return;
    }
    let cluster = pair("island");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let oracles = Oracles::start(&cluster);
    let session = Session::open(&old.app()).expect("a session before");
    let cut = Instant::now();
    cluster.network().separate(old, &cluster.monitor);
    cluster.network().separate(old, new);
    cluster.wait_writer(new, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!("primary cut off: longest pause in writes {} ms", oracles.longest_pause(cut).as_millis()));
    for error in [
        session.write("INSERT INTO ledger VALUES (-1)", &[], WRITE).expect_err("the lease has run out"),
        old.sql("INSERT INTO ledger VALUES (-2)").expect_err("no session is let in"),
    ] {
        // Refused, or ended by the fence, or not let in.
        let code = error.code.as_deref();
        assert!([None, Some("25006"), Some("57P01"), Some("57P03")].contains(&code), "{error}");
    }
    sleep(CUT_OFF.saturating_sub(cut.elapsed()));
    cluster.network().heal();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    oracles.finish(&cluster);
}

/// In both directions, then in one: what it hears is not heard of it.
#[test]
fn a_primary_cut_off_from_the_monitor_only() {
    if !Network::is_possible() {
        return;
    }
    let cluster = pair("nomon");
    let primary = cluster.wait_settled();
    let oracles = Oracles::start(&cluster);
    for hears in [false, true] {
        let cut = Instant::now();
        cluster.network().cut(primary, &cluster.monitor);
        if !hears {
            cluster.network().cut(&cluster.monitor, primary);
        }
        sleep(CUT_OFF);
        let pause = oracles.longest_pause(cut);
        tell(&format!("cut off from the monitor: longest pause in writes {} ms", pause.as_millis()));
        assert!(pause < NO_PAUSE, "writes stood still for {pause:?}");
        cluster.network().heal();
        assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name, "no failover");
    }
    oracles.finish(&cluster);
}

#[test]
fn a_standby_cut_off_from_the_primary_only() {
    if !Network::is_possible() {
        return;
    }
    let cluster = pair("nofollow");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let oracles = Oracles::start(&cluster);
    let cut = Instant::now();
    cluster.network().separate(primary, standby);
    cluster.wait_state(primary, "wait_primary", FAILOVER);
    oracles.wait_for_writes();
    tell(&format!("standby cut off: longest pause in writes {} ms", oracles.longest_pause(cut).as_millis()));
    cluster.network().heal();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name, "no failover");
    oracles.finish(&cluster);
}

/// What a firewall does that forgets its connections, or a change of addresses.
#[test]
fn every_connection_of_a_living_primary_is_reset() {
    if !Network::is_possible() {
        return;
    }
    let cluster = pair("reset");
    let oracles = Oracles::start(&cluster);
    for _ in 0..3 {
        let primary = cluster.wait_settled_within(REJOIN);
        let reset = Instant::now();
        primary.reset_connections();
        oracles.wait_for_writes();
        let writer = cluster.wait_settled_within(REJOIN);
        tell(&format!(
            "every connection reset: longest pause in writes {} ms; {}",
            oracles.longest_pause(reset).as_millis(),
            if writer.name == primary.name { "no failover" } else { "a failover" }
        ));
    }
    oracles.finish(&cluster);
}
