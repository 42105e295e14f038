//! Three nodes, and two of them are lost, one after the other.
use crate::ways_out::wait_for_rule_of_one;
use regress::cluster::Cluster;
use regress::deadlines::{CLONE, FAILOVER};
use regress::oracles::{Oracles, tell};
use regress::server::Server;
use std::time::Instant;

/// Commits wait for one of two. One dies and stays away; when it is out of the rule, the other can take over alone.
#[test]
fn one_is_away_for_long_and_then_the_primary_dies() {
    let cluster = Cluster::empty("oneleft").with_nodes(3);
    cluster.set_on_monitor("member_timeout", "5s");
    let primary = cluster.wait_settled();
    let standbys: Vec<&Server> = cluster.nodes.iter().filter(|node| node.name != primary.name).collect();
    let (lost, left) = (standbys[0], standbys[1]);
    let oracles = Oracles::start(&cluster);
    lost.kill_tree();
    wait_for_rule_of_one(&cluster);
    let killed = Instant::now();
    primary.kill_tree();
    cluster.wait_writer(left, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!(
        "one of three left: longest pause in writes {} ms",
        oracles.longest_pause(killed).as_millis()
    ));
    primary.start();
    lost.start();
    assert_eq!(cluster.wait_settled_within(CLONE).name, left.name);
    oracles.finish(&cluster);
}
