//! Four nodes on their way from one monitor to another: two have gone, two still talk to the one before. Each monitor hears half of the
//! truth, and neither may act on it where that could cost a commit.
use crate::monitor_replaced::{Former, NO_PAUSE, PASSWORD, config_set, second_monitor};
use crate::old_image::never_writes;
use crate::ways_out::operate;
use regress::cluster::{Cluster, MONITOR_PASSWORD};
use regress::deadlines::{FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use regress::server::Server;
use regress::wait;
use std::time::{Duration, Instant};

/// An election that is possible takes a fraction of this.
const WATCH: Duration = Duration::from_secs(2);

fn ask(monitor: &Server, sql: &str) -> Result<String, String> {
    monitor.superuser("pg_auto_failover", sql)
}

/// What a monitor says that the group waits for.
fn wait_says(monitor: &Server, what: &str) {
    wait::until(&format!("{} says \"{what}\"", monitor.name), FAILOVER, || {
        let said = ask(monitor, "SELECT waits_for FROM pgautofailover.explain()")?;
        if said.contains(what) { Ok(()) } else { Err(said) }
    });
}

/// The monitor that all have gone to is the cluster's from now on; the one that was.
fn take_over(cluster: &mut Cluster, monitor: Former, password: &str) -> Former {
    let before = Former(std::mem::replace(&mut cluster.monitor, monitor.0.clone()));
    password.clone_into(&mut cluster.monitor_password);
    std::mem::forget(monitor);
    before.0.stop();
    before
}

#[test]
fn half_of_the_nodes_still_talk_to_the_one_before() {
    let mut cluster = Cluster::empty("divided").with_nodes(4);
    let nodes = cluster.nodes.clone();
    assert_eq!(cluster.wait_settled().name, "node_1");
    let oracles = Oracles::start(&cluster);
    let second = Former(second_monitor(&cluster));
    let began = Instant::now();
    for (node, in_address) in nodes[..2].iter().zip([false, true]) {
        config_set(&cluster, node, &second.0, PASSWORD, in_address);
        oracles.wait_for_writes();
    }
    wait_says(&second.0, "nodes 3 and 4 to report to this monitor");
    let pause = oracles.longest_pause(began);
    assert!(pause < NO_PAUSE, "a pause of {} ms", pause.as_millis());

    // Commits wait for one of three, and each may be the one that has the last: neither monitor hears all of them.
    nodes[0].kill_tree();
    wait_says(&cluster.monitor, "commits may be on node 2 alone");
    nodes.iter().skip(1).for_each(|node| never_writes(node, WATCH));
    // It is back, and its monitor does not know whether it may write. The way out is to go on.
    nodes[0].start();
    wait_says(&second.0, "nodes 3 and 4 to report to this monitor");
    nodes[2..].iter().for_each(|node| config_set(&cluster, node, &second.0, PASSWORD, false));
    let first = take_over(&mut cluster, second, PASSWORD);
    cluster.wait_settled_within(REJOIN);
    oracles.wait_for_writes();

    // Back to the first one, which has slept meanwhile. Commits wait for two of three now: the two that stay can elect one of them.
    let (code, said) = operate(&cluster, &["set", "formation", "number-sync-standbys", "2"]);
    assert_eq!(code, Some(0), "{said}");
    let in_force = "SELECT next_rule IS NULL AND rule->>'wait_for' = '2' FROM pgautofailover.group_state";
    wait::until("commits wait for two", FAILOVER, || match ask(&cluster.monitor, in_force)?.as_str() {
        "t" => Ok(()),
        other => Err(other.to_owned()),
    });
    let primary = cluster.wait_settled().clone();
    let others: Vec<&Server> = nodes.iter().filter(|node| node.name != primary.name).collect();
    let (goes, stay) = (others[0], &others[1..]);
    first.0.start();
    for node in [&primary, goes] {
        config_set(&cluster, node, &first.0, MONITOR_PASSWORD, true);
        oracles.wait_for_writes();
    }
    wait_says(&first.0, "to report to this monitor");
    primary.freeze();
    let elected = wait::until("one of those that stay is elected", FAILOVER, || {
        let states = cluster.states().map_err(|error| error.to_string())?;
        let writes = |node: &&&Server| {
            states.iter().any(|seen| {
                seen.name == node.name && seen.reported == "primary" && seen.assigned == "primary"
            })
        };
        stay.iter().find(writes).copied().ok_or(format!("{states:?}"))
    });
    // It knows nothing of that, and two that it needs have pledged to another.
    primary.thaw();
    wait::until("the one before lets nobody in", FAILOVER, || match primary.sql("SELECT 1") {
        Ok(_) => Err("it serves"),
        Err(_) => Ok(()),
    });
    wait_says(&first.0, "to report to this monitor");
    never_writes(goes, WATCH);
    stay.iter().for_each(|node| config_set(&cluster, node, &first.0, MONITOR_PASSWORD, true));
    take_over(&mut cluster, first, MONITOR_PASSWORD);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, elected.name);
    oracles.wait_for_writes();
    let counts = oracles.finish(&cluster);
    tell(&format!("four nodes between two monitors: {} rows acknowledged, 0 lost", counts.acknowledged));
}
