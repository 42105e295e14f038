//! A formation whose servers have machines of their own, and somebody on the same network who is not of it.
use regress::account::Account;
use regress::address::Place;
use regress::cluster::Cluster;
use regress::deadlines::REJOIN;
use regress::install::Install;
use regress::network::Network;
use regress::oracles::{Oracles, tell};
use regress::server::{Server, text};
use std::time::Instant;

/// What psql on that machine is told, under these connection parameters.
fn psql(
    cluster: &Cluster,
    on: &Account,
    to: &Server,
    parameters: &str,
    password: &str,
) -> Result<String, String> {
    let conninfo =
        format!("host={} port={} sslmode=require connect_timeout=5 {parameters}", to.host, to.port);
    let sql = if parameters.contains("replication=") { "IDENTIFY_SYSTEM" } else { "SELECT 1" };
    let mut command = on.command(Install::find().program("psql"));
    command.args(["-X", "-w", "-At", "-c", sql, &conninfo]);
    if !password.is_empty() {
        command.env("PGPASSWORD", password);
    }
    let output = cluster.run(&mut command);
    if output.status.success() { Ok(text(&output)) } else { Err(text(&output)) }
}

#[test]
fn is_let_in_nowhere_and_the_formation_works() {
    if !Network::is_possible() {
        return;
    }
    let mut cluster = Cluster::on_machines("stranger").with_pair();
    let network = cluster.network.as_mut().expect("made with one");
    let stranger = cluster.monitor.account.on(network.add(Place::Stranger));
    let primary = cluster.wait_settled().clone();
    let standby = cluster.other(&primary).clone();
    let replication = primary.secret("replication_password");

    let refused = |to: &Server, parameters: &str, password: &str, why: &str| {
        let answer = psql(&cluster, &stranger, to, parameters, password);
        let said = answer.expect_err(&format!("a stranger gets into {} with {parameters}", to.name));
        assert!(said.contains(why), "{}, {parameters}: {said}", to.name);
    };
    // What the members of the group may do, the stranger may not with the same password.
    for (on, to) in [(&standby, &primary), (&primary, &standby)] {
        for what in [
            "user=pgautofailover_replicator replication=true",
            "user=pgautofailover_replicator dbname=postgres",
        ] {
            psql(&cluster, &on.account, to, what, &replication)
                .unwrap_or_else(|said| panic!("{}: {said}", to.name));
            refused(to, what, &replication, "pg_hba.conf rejects");
        }
        refused(to, "user=pgautofailover_replicator dbname=template1", &replication, "pg_hba.conf rejects");
        refused(to, "user=pgautofailover_monitor dbname=postgres", "", "no password supplied");
        refused(
            to,
            "user=pgautofailover_monitor dbname=postgres",
            &replication,
            "password authentication failed",
        );
        refused(to, "user=pgautofailover_monitor dbname=template1", "", "pg_hba.conf rejects");
        refused(to, "user=postgres dbname=postgres", "guess", "password authentication failed");
        refused(to, "user=postgres replication=true", "guess", "no pg_hba.conf entry");
        refused(to, "user=app dbname=postgres", "", "no password supplied");
    }
    let nodes = "user=autoctl_node dbname=pg_auto_failover";
    refused(&cluster.monitor, nodes, "", "no password supplied");
    refused(&cluster.monitor, nodes, &replication, "password authentication failed");
    refused(
        &cluster.monitor,
        "user=autoctl dbname=pg_auto_failover",
        "guess",
        "password authentication failed",
    );
    refused(
        &cluster.monitor,
        "user=autoctl_node dbname=postgres",
        &cluster.monitor_password,
        "pg_hba.conf rejects",
    );
    refused(
        &cluster.monitor,
        "user=autoctl_node replication=true",
        &cluster.monitor_password,
        "pg_hba.conf rejects",
    );
    refused(&cluster.monitor, "user=postgres dbname=pg_auto_failover", "guess", "no pg_hba.conf entry");
    // Not the address but the password is what counts there: that of an operator may be anywhere.
    psql(&cluster, &stranger, &cluster.monitor, nodes, &cluster.monitor_password)
        .expect("the right password");

    let oracles = Oracles::start(&cluster);
    let killed = Instant::now();
    primary.kill_tree();
    oracles.wait_for_writes();
    tell(&format!(
        "killed on its machine: longest pause in writes {} ms",
        oracles.longest_pause(killed).as_millis()
    ));
    primary.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    let network = cluster.network();
    let unplugged = Instant::now();
    network.unplug(&standby);
    oracles.wait_for_writes();
    tell(&format!("unplugged: longest pause in writes {} ms", oracles.longest_pause(unplugged).as_millis()));
    network.plug(&standby);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    let counts = oracles.finish(&cluster);
    tell(&format!("stranger: {} rows acknowledged, 0 lost, {} unknown", counts.acknowledged, counts.unknown));
}
