//! A primary is shut down by its operator's tools, in ways that do not end at once, or with a configuration that does not let it come back.
use regress::cluster::Cluster;
use regress::deadlines::{DEATH, FAILOVER, REJOIN, START};
use regress::faults::Part;
use regress::oracles::{Oracles, tell};
use regress::plain::append;
use regress::process;
use regress::server::text;
use regress::session::Session;
use regress::wait;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Kubernetes' default signal; PostgreSQL would wait for the last client.
#[test]
fn a_smart_shutdown_hands_over_though_a_session_is_open() {
    let cluster = Cluster::pair("smart");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let oracles = Oracles::start(&cluster);
    let idle = Session::open(&old.app()).expect("an idle session");
    let asked = Instant::now();
    let output = old.pg_ctl(&["stop", "-m", "smart", "--no-wait"]);
    assert!(output.status.success(), "{}", text(&output));
    cluster.wait_writer(new, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!("smart shutdown: longest pause in writes {} ms", oracles.longest_pause(asked).as_millis()));
    wait::until("the old primary has stopped, its idle session notwithstanding", DEATH, || {
        old.running().map_or(Ok(()), Err)
    });
    drop(idle);
    old.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    oracles.finish(&cluster);
}

/// A process of it does not hear that it is to go. The others do not wait for that.
#[test]
fn a_fast_shutdown_that_hangs() {
    let cluster = Cluster::pair("hangs");
    let oracles = Oracles::start(&cluster);
    for part in [Part::WalSender, Part::Backend] {
        let old = cluster.wait_settled_within(REJOIN);
        let new = cluster.other(old);
        let postmaster = old.postmaster();
        let asked = Instant::now();
        let frozen = old.signal("STOP", part);
        let output = old.pg_ctl(&["stop", "-m", "fast", "--no-wait"]);
        assert!(output.status.success(), "{}", text(&output));
        cluster.wait_writer(new, FAILOVER);
        oracles.wait_for_writes();
        tell(&format!(
            "fast shutdown with a frozen {part:?}: longest pause in writes {} ms",
            oracles.longest_pause(asked).as_millis()
        ));
        assert_eq!(old.running(), Some(postmaster), "it waits for the frozen process");
        process::signal("CONT", &[frozen]);
        wait::until("the old primary has stopped", DEATH, || old.running().map_or(Ok(()), Err));
        old.start();
        assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    }
    oracles.finish(&cluster);
}

#[test]
fn a_configuration_that_cannot_be_parsed() {
    let mut cluster = Cluster::pair("unparsed");
    cluster.explained.push("configuration file \"");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let configuration = old.pgdata.join("postgresql.conf");
    let intact = fs::read_to_string(&configuration).expect("reading the configuration");
    let oracles = Oracles::start(&cluster);

    // A reload: the server goes on with what it had.
    append(&configuration, "this is no = 'setting\n");
    let reloaded = Instant::now();
    assert!(old.pg_ctl(&["reload"]).status.success());
    wait::until("the server has refused the file", START, || {
        let log = old.log();
        if log.contains("contains errors") { Ok(()) } else { Err(old.log_tail()) }
    });
    sleep(Duration::from_secs(3));
    let pause = oracles.longest_pause(reloaded);
    assert!(pause < Duration::from_secs(2), "writes stood still for {pause:?}");
    assert_eq!(cluster.wait_settled().name, old.name, "no failover");

    // A restart: it does not come back, and the other takes over.
    let restarted = Instant::now();
    let output = old.pg_ctl(&["restart", "-m", "fast"]);
    assert!(!output.status.success(), "{}", text(&output));
    cluster.wait_writer(new, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!(
        "restart without a way back: longest pause {} ms",
        oracles.longest_pause(restarted).as_millis()
    ));
    fs::write(&configuration, intact).expect("repairing the configuration");
    old.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    oracles.finish(&cluster);
}
