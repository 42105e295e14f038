//! The winner of an election reads its goal, and is cut off before anybody hears that it has promoted: it never commits, another is
//! elected, and it comes back by a new copy, for its history is nobody's.
use regress::cluster::Cluster;
use regress::deadlines::{CLONE, FAILOVER};
use regress::faults::Part;
use regress::network::Network;
use regress::oracles::{Oracles, tell};
use regress::wait;
use std::time::Instant;

#[test]
fn it_never_commits_and_another_is_elected() {
    if !Network::is_possible() {
        return;
    }
    let cluster = Cluster::on_machines("winner").with_nodes(3);
    let primary = cluster.wait_settled().name.clone();
    let winner = cluster.nodes.iter().find(|node| node.name != primary).expect("a standby");
    let others: Vec<_> = cluster.nodes.iter().filter(|node| node.name != winner.name).collect();
    let oracles = Oracles::start(&cluster);

    // Its WAL is replayed by this process, which has to end before it is promoted: so there is time to cut it off in between.
    winner.signal("STOP", Part::Startup);
    let asked = Instant::now();
    cluster
        .ask_monitor(&format!("SELECT pgautofailover.perform_promotion('default', '{}')", winner.name))
        .unwrap_or_else(|error| panic!("perform_promotion: {error}"));
    wait::until("the winner has read its goal", FAILOVER, || {
        let log = winner.log();
        if log.contains("assigned prepare_promotion") { Ok(()) } else { Err(winner.log_tail()) }
    });
    // The other standby is to follow it, has logged in to it, and gets nothing.
    let waiting = "SELECT count(*) FROM pg_stat_replication WHERE state = 'startup'";
    wait::until("a receiver waits for the winner", FAILOVER, || {
        match winner.superuser("postgres", waiting) {
            Ok(answer) if answer == "1" => Ok(()),
            other => Err(other),
        }
    });
    cluster.network().separate(winner, &cluster.monitor);
    others.iter().for_each(|other| cluster.network().separate(winner, other));
    winner.signal("CONT", Part::Startup);
    wait::until("the winner has promoted", FAILOVER, || {
        match winner.superuser("postgres", "SELECT pg_is_in_recovery()") {
            Ok(answer) if answer == "f" => Ok(()),
            other => Err(other),
        }
    });
    let refused = winner.sql("INSERT INTO ledger VALUES (-1)").expect_err("nobody has recorded it");
    assert!(refused.is_read_only(), "{refused}");

    wait::until("another is elected", FAILOVER, || {
        let states = cluster.states().map_err(|error| error.to_string())?;
        let writes = |seen: &&regress::cluster::Seen| {
            seen.name != winner.name && seen.reported == "primary" && seen.assigned == "primary"
        };
        states.iter().find(writes).map(|_| ()).ok_or(format!("{states:?}"))
    });
    oracles.wait_for_writes();
    tell(&format!("winner cut off: longest pause in writes {} ms", oracles.longest_pause(asked).as_millis()));
    cluster.network().heal();
    assert_ne!(cluster.wait_settled_within(CLONE).name, winner.name);
    let log = winner.log();
    assert!(log.contains("restarting in place as a standby, after a new copy"), "{}", winner.log_tail());
    oracles.finish(&cluster);
}
