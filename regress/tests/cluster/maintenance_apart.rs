//! Maintenance of one node while the group has other things to do; and where it is refused.
use crate::maintenance::{psql, start_maintenance, stop_maintenance};
use regress::cluster::Cluster;
use regress::deadlines::{CLONE, FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use regress::server::Server;
use regress::wait;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Instant;

/// The node that the monitor shows as a primary that has reached its state.
fn primary_among<'a>(cluster: &'a Cluster, names: [&str; 2]) -> &'a Server {
    let name = wait::until("one of the two others is primary", FAILOVER, || {
        let states = cluster.states().map_err(|error| error.to_string())?;
        let is = |name: &str, state: &str| {
            states.iter().any(|node| node.name == name && node.reported == state && node.assigned == state)
        };
        let [one, two] = names;
        match (is(one, "primary") && is(two, "secondary"), is(two, "primary") && is(one, "secondary")) {
            (true, false) => Ok(one.to_owned()),
            (false, true) => Ok(two.to_owned()),
            _ => Err(format!("{states:?}")),
        }
    });
    cluster.named(&name)
}

/// A former primary with WAL that nobody else has is put in maintenance before it could rejoin. The two others fail over,
/// and it is left as it is; given back, it is rewound.
#[test]
fn a_former_primary_waits_in_maintenance() {
    let mut cluster = Cluster::pair("apart");
    cluster.create_node();
    let old = cluster.wait_settled().clone();
    no_fewer_than_asked_for(&cluster);
    let others: Vec<String> =
        cluster.nodes.iter().map(|node| node.name.clone()).filter(|name| *name != old.name).collect();
    let others = [others[0].as_str(), others[1].as_str()];
    let oracles = Oracles::start(&cluster);

    others.iter().for_each(|name| cluster.named(name).freeze());
    for sql in
        ["BEGIN; INSERT INTO ledger SELECT generate_series(-100000, -1); ROLLBACK", "SELECT pg_switch_wal()"]
    {
        old.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    old.kill_tree();
    others.iter().for_each(|name| cluster.named(name).thaw());
    primary_among(&cluster, others);

    // A server whose configuration is broken is not restarted, so it cannot be rewound either.
    cluster.monitor.stop();
    old.start();
    let configuration = old.pgdata.join("postgresql.conf");
    let intact = fs::read_to_string(&configuration).expect("reading the configuration");
    let mut broken = OpenOptions::new().append(true).open(&configuration).expect("the configuration");
    writeln!(broken, "port = 'none'").expect("breaking the configuration");
    cluster.monitor.start();
    wait::until("the former primary says why it does not rejoin", REJOIN, || {
        let log = old.log();
        if log.contains("would not start with its present configuration") {
            Ok(())
        } else {
            Err(old.log_tail())
        }
    });
    start_maintenance(&cluster, &old.host, old.port);
    cluster.wait_state(&old, "maintenance", FAILOVER);
    fs::write(&configuration, intact).expect("repairing the configuration");

    let before = primary_among(&cluster, others).name.clone();
    psql(&cluster, "select pgautofailover.perform_failover(formation_id => 'default', group_id => 0)")
        .expect("perform_failover");
    wait::until("the two others have changed their roles", FAILOVER, || {
        match primary_among(&cluster, others).name.clone() {
            name if name != before => Ok(()),
            name => Err(name),
        }
    });
    oracles.wait_for_writes();
    cluster.wait_state(&old, "maintenance", FAILOVER);
    assert!(!old.log().contains("restarting in place"), "nobody touched it: {}", old.log_tail());

    let given_back = Instant::now();
    stop_maintenance(&cluster, &old.host, old.port);
    cluster.wait_settled_within(CLONE);
    tell(&format!("diverged node given back: secondary after {} ms", given_back.elapsed().as_millis()));
    assert!(old.log().contains("restarting in place as a standby, after a rewind"), "{}", old.log_tail());
    oracles.finish(&cluster);
}

/// Where commits wait for one standby at the least, only one of two may be taken away.
fn no_fewer_than_asked_for(cluster: &Cluster) {
    let primary = cluster.wait_settled();
    let wait_for = |number: u8| {
        let statement =
            format!("select pgautofailover.set_formation_number_sync_standbys('default', {number})");
        psql(cluster, &statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    };
    let standbys: Vec<&Server> = cluster.nodes.iter().filter(|node| node.name != primary.name).collect();
    wait_for(1);
    start_maintenance(cluster, &standbys[0].name, standbys[0].port);
    cluster.wait_state(standbys[0], "maintenance", FAILOVER);
    let (name, port) = (&standbys[1].name, standbys[1].port);
    let statement = format!("select pgautofailover.start_maintenance('{name}', {port})");
    let refused = psql(cluster, &statement).expect_err("the last standby is refused");
    assert!(refused.contains("55000") && refused.contains("number_sync_standbys"), "{refused}");
    stop_maintenance(cluster, &standbys[0].name, standbys[0].port);
    cluster.wait_settled_within(REJOIN);
    wait_for(0);
}

#[test]
fn the_primary_is_maintained_after_it_has_handed_over() {
    let cluster = Cluster::pair("handover");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let statement = format!("select pgautofailover.start_maintenance('{}', {})", primary.name, primary.port);
    let refused = psql(&cluster, &statement).expect_err("the primary is refused");
    assert!(refused.contains("55000") && refused.contains("the node is the primary"), "{refused}");
    assert_eq!(cluster.wait_settled().name, primary.name, "and nothing has changed");

    let oracles = Oracles::start(&cluster);
    let pgdata = primary.pgdata.to_str().expect("a plain path");
    let refused = cluster.run(cluster.pg_autoctl().args(["enable", "maintenance", "--pgdata", pgdata]));
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let began = Instant::now();
    cluster.cli(&["enable", "maintenance", "--pgdata", pgdata, "--allow-failover"]);
    cluster.wait_state(primary, "maintenance", FAILOVER);
    cluster.wait_state(standby, "wait_primary", FAILOVER);
    tell(&format!("handed over and in maintenance after {} ms", began.elapsed().as_millis()));
    primary.stop();
    oracles.wait_for_writes();
    primary.start();
    cluster.cli(&["disable", "maintenance", "--pgdata", pgdata]);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    oracles.finish(&cluster);
}
