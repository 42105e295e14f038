//! The guide's section "triggering a failover": its two commands on a node, and its call as `autoctl_node`.
use crate::maintenance::psql;
use regress::cluster::Cluster;
use regress::deadlines::REJOIN;
use regress::oracles::{Oracles, tell};
use regress::server::{Server, text};
use regress::wait;
use std::time::Instant;

#[test]
fn formation_and_group_of_a_node_are_enough_to_fail_over() {
    let cluster = Cluster::pair("guide-failover");
    // `export PGDATA=...`, and no other word about which node it is.
    let get = |node: &Server, key: &str| {
        let mut command = cluster.pg_autoctl();
        let output = cluster.run(command.args(["config", "get", key]).env("PGDATA", &node.pgdata));
        assert!(output.status.success(), "config get {key}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    };
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    standby.stop();
    let (formation, group) = (get(standby, "pg_autoctl.formation"), get(standby, "pg_autoctl.group"));
    standby.start();
    cluster.wait_settled_within(REJOIN);
    let known = (get(primary, "pg_autoctl.formation"), get(primary, "pg_autoctl.group"));
    assert_eq!(known, (formation.clone(), group.clone()), "a stopped node says what a running one does");
    assert_eq!(known, ("default".to_owned(), "0".to_owned()));

    let oracles = Oracles::start(&cluster);
    let call = format!(
        "select pgautofailover.perform_failover(formation_id => '{formation}', group_id => {group});"
    );
    let asked = Instant::now();
    assert_eq!(psql(&cluster, &call).as_deref(), Ok(""), "{call}");
    wait::until("the standby is the settled primary", REJOIN, || match cluster.settled_primary() {
        Ok(writer) if writer.name == standby.name => Ok(()),
        Ok(writer) => Err(format!("{} is still primary", writer.name)),
        Err(seen) => Err(seen),
    });
    oracles.wait_for_writes();
    let pause = oracles.longest_pause(asked).as_millis();
    let counts = oracles.finish(&cluster);
    tell(&format!(
        "the guide's failover: longest pause in writes {pause} ms; {} rows acknowledged, 0 lost",
        counts.acknowledged
    ));

    // What it names must be there.
    let elsewhere = call.replace("group_id => 0", "group_id => 1");
    let refused = psql(&cluster, &elsewhere).expect_err("there is no group 1");
    assert!(refused.contains("has no group 1") && refused.contains("HINT"), "{refused}");
    cluster.check_logs();
}
