//! Another monitor, built from the nodes themselves: they go there one after the other, in their roles, while the application writes.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use regress::server::{Server, text};
use regress::wait;
use std::time::{Duration, Instant};

/// Of the second monitor.
pub const PASSWORD: &str = "of-the-second-not-a-secret";
/// No application notices what is shorter; a failover or a broken stream takes longer.
pub const NO_PAUSE: Duration = Duration::from_millis(1000);

/// A server that the cluster does not know any more, and which must not outlive a failing test.
pub struct Former(pub Server);

impl Drop for Former {
    fn drop(&mut self) {
        if self.0.running().is_some() {
            self.0.kill_tree();
        }
    }
}

/// Another monitor, which knows nobody.
pub fn second_monitor(cluster: &Cluster) -> Server {
    let second = Server {
        name: "second".to_owned(),
        pgdata: cluster.directory().join("second"),
        ..cluster.next_node()
    };
    let mut command = cluster.pg_autoctl();
    command.args(["create", "monitor", "--pgdata"]).arg(&second.pgdata);
    command.args([
        "--hostname",
        &second.host,
        "--listen",
        &second.host,
        "--pgport",
        &second.port.to_string(),
    ]);
    let output = cluster.run(command.env("PGPASSWORD", PASSWORD));
    assert!(output.status.success(), "create monitor: {}\n{}", text(&output), second.log_tail());
    second
}

/// What the guide's reader types on the node. The password is in the address, or in the environment.
pub fn config_set(cluster: &Cluster, node: &Server, monitor: &Server, password: &str, in_address: bool) {
    let shown = if in_address { format!(":{password}") } else { String::new() };
    let address =
        format!("postgres://autoctl_node{shown}@{}:{}/pg_auto_failover", monitor.host, monitor.port);
    let mut command = cluster.pg_autoctl();
    command.args(["config", "set", "pg_autoctl.monitor", &address]).env("PGDATA", &node.pgdata);
    if !in_address {
        command.env("PGPASSWORD", password);
    }
    let output = cluster.run(&mut command);
    assert!(output.status.success(), "{}: {}\n{}", node.name, text(&output), node.log_tail());
    assert!(!text(&output).contains(password), "{}", text(&output));
}

fn replaced(name: &str, primary_first: bool) {
    let mut cluster = Cluster::pair(name);
    let mut order = [cluster.node(1).clone(), cluster.node(2).clone()];
    if !primary_first {
        order.reverse();
    }
    let oracles = Oracles::start(&cluster);
    let postmasters: Vec<u32> = cluster.nodes.iter().map(Server::postmaster).collect();
    let second = Former(second_monitor(&cluster));
    let began = Instant::now();
    for (node, in_address) in order.iter().zip([false, true]) {
        config_set(&cluster, node, &second.0, PASSWORD, in_address);
        config_set(&cluster, node, &second.0, PASSWORD, in_address);
        oracles.wait_for_writes();
    }
    let former = Former(std::mem::replace(&mut cluster.monitor, second.0.clone()));
    PASSWORD.clone_into(&mut cluster.monitor_password);
    std::mem::forget(second);
    former.0.stop();
    let primary = cluster.wait_settled().clone();
    assert_eq!(primary.name, "node_1", "the roles are kept");
    assert_eq!(cluster.nodes.iter().map(Server::postmaster).collect::<Vec<_>>(), postmasters);

    let ours = cluster.ask_monitor(
        "SELECT nodeid, nodename, nodehost, candidatepriority FROM pgautofailover.node ORDER BY 1",
    );
    let expected: Vec<String> = cluster
        .nodes
        .iter()
        .enumerate()
        .map(|(n, node)| format!("{}|{}|{}|100", n + 1, node.name, node.host))
        .collect();
    assert_eq!(ours.expect("the new monitor answers"), expected.join("\n"));
    // Each gets the new monitor's password for the group, so that nodes to come are told one that is true.
    let number = "SELECT replication_password_number FROM pgautofailover.group_state";
    let newest = cluster.monitor.superuser("pg_auto_failover", number).expect("the group's number");
    wait::until("the group has a password of the new monitor's", FAILOVER, || {
        let numbers: Vec<String> =
            cluster.nodes.iter().map(|node| node.secret("replication_password_number")).collect();
        if numbers.iter().all(|number| *number == newest) { Ok(()) } else { Err(numbers) }
    });
    assert_eq!(
        cluster.node(1).secret("replication_password"),
        cluster.node(2).secret("replication_password")
    );
    for node in &cluster.nodes {
        let shown = cluster.cli(&["config", "get", "--pgdata", node.pgdata.to_str().expect("a plain path")]);
        assert!(shown.contains(&second_place(&cluster)) && !shown.contains(PASSWORD), "{shown}");
    }
    oracles.wait_for_writes();
    let pause = oracles.longest_pause(began);
    tell(&format!("longest pause in writes while the monitor was replaced: {} ms", pause.as_millis()));
    assert!(pause < NO_PAUSE, "a pause of {} ms", pause.as_millis());

    primary.kill_tree();
    let other = cluster.other(&primary).clone();
    wait::until("the other node writes, by the new monitor's word", FAILOVER, || {
        let states = cluster.states().map_err(|error| error.to_string())?;
        let writes = states.iter().any(|node| node.name == other.name && node.reported == "wait_primary");
        if writes { Ok(()) } else { Err(format!("{states:?}")) }
    });
    oracles.wait_for_writes();
    primary.start();
    cluster.wait_settled_within(REJOIN);
    oracles.finish(&cluster);
}

fn second_place(cluster: &Cluster) -> String {
    format!("{}:{}", cluster.monitor.host, cluster.monitor.port)
}

#[test]
fn the_primary_goes_first() {
    replaced("newmon", true);
}

#[test]
fn the_standby_goes_first() {
    replaced("newmonb", false);
}

/// The monitor is gone for good, and its nodes were restarted since: nobody tells the primary that it may write.
#[test]
fn the_site_came_back_without_its_monitor() {
    let mut cluster = Cluster::pair("newmonsite");
    let oracles = Oracles::start(&cluster);
    cluster.monitor.kill_tree();
    cluster.nodes.iter().for_each(Server::freeze);
    cluster.nodes.iter().for_each(Server::kill_tree);
    cluster.nodes.iter().for_each(Server::start);
    for node in &cluster.nodes {
        assert_eq!(node.superuser("postgres", "SELECT pg_is_in_recovery()").as_deref(), Ok("t"));
    }
    let second = second_monitor(&cluster);
    for node in &cluster.nodes {
        config_set(&cluster, node, &second, PASSWORD, false);
    }
    cluster.monitor = second;
    PASSWORD.clone_into(&mut cluster.monitor_password);
    cluster.wait_settled_within(REJOIN);
    oracles.wait_for_writes();
    let counts = oracles.finish(&cluster);
    tell(&format!("a site without its monitor: {} rows acknowledged, 0 lost", counts.acknowledged));
}
