//! One backend of the primary is killed: PostgreSQL ends all others and recovers under the same postmaster.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::faults::Part;
use regress::oracles::{Oracles, tell};
use std::fs;
use std::time::Instant;

#[test]
fn a_short_recovery_is_waited_for() {
    let cluster = Cluster::pair("backend");
    let primary = cluster.wait_settled();
    let oracles = Oracles::start(&cluster);
    let killed = Instant::now();
    primary.signal("KILL", Part::Backend);
    oracles.wait_for_writes();
    let writer = cluster.wait_settled_within(REJOIN);
    tell(&format!(
        "backend killed: longest pause in writes {} ms",
        oracles.longest_pause(killed).as_millis()
    ));
    assert_eq!(writer.name, primary.name, "it recovers in less than crash_recovery_grace");
    oracles.finish(&cluster);
}

/// The archive is slow, as it is when WAL has to be fetched from far away.
#[test]
fn a_long_recovery_is_not() {
    let cluster = Cluster::pair("recovery");
    cluster.set_on_monitor("crash_recovery_grace", "3s");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let slow = cluster.directory().join("the archive is slow");
    fs::write(&slow, "").expect("writing a file");
    for sql in [
        &format!(
            "ALTER SYSTEM SET restore_command = 'while [ -e \"{}\" ]; do sleep 0.1; done; false'",
            slow.display()
        ),
        "SELECT pg_reload_conf()",
    ] {
        old.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let oracles = Oracles::start(&cluster);
    let killed = Instant::now();
    old.signal("KILL", Part::Backend);
    cluster.wait_writer(new, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!("long recovery: longest pause in writes {} ms", oracles.longest_pause(killed).as_millis()));
    fs::remove_file(&slow).expect("removing a file");
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    oracles.finish(&cluster);
}
