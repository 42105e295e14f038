//! The cable of the primary is pulled again and again: the first failovers are quick, the next ones wait for longer and longer, and an
//! operator need not wait.
use regress::bench::pauses::{IMPATIENT_MONITOR, IMPATIENT_NODE};
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::network::Network;
use regress::oracles::Oracles;
use regress::server::Server;
use regress::wait;

/// What `explain` says in that column; nothing where it has nothing to say.
fn says(cluster: &Cluster, column: &str) -> String {
    ask(cluster, &format!("SELECT coalesce({column}, '') FROM pgautofailover.explain()"))
}

fn ask(cluster: &Cluster, sql: &str) -> String {
    cluster.ask_monitor(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Every failover: its cause, and whether it took longer than so many milliseconds after the last report.
fn failovers(cluster: &Cluster, longer_than: u32) -> String {
    let sql = "SELECT string_agg(format('%s %s', cause, convicted - suspected > $ * interval '1 ms'), ', ' ORDER BY term)
                 FROM pgautofailover.failover";
    ask(cluster, &sql.replace('$', &longer_than.to_string()))
}

/// The primary, once nobody is waited for.
fn primary(cluster: &Cluster) -> &Server {
    wait::until("the group waits for nothing", REJOIN, || match says(cluster, "waits_for") {
        nothing if nothing.is_empty() => cluster.settled_primary(),
        something => Err(something),
    })
}

/// Whoever is primary is cut off until another writes, and comes back.
fn flap(cluster: &Cluster) {
    let old = primary(cluster);
    cluster.network().unplug(old);
    cluster.wait_writer(cluster.other(old), FAILOVER);
    cluster.network().plug(old);
    primary(cluster);
}

/// Cuts the primary off for as long as it takes until it would have been replaced, had it not been for the failovers before.
fn cut_until_it_is_waited_for(cluster: &Cluster) -> &Server {
    let old = primary(cluster);
    cluster.network().unplug(old);
    wait::until("the monitor is patient", FAILOVER, || {
        let waits_for = says(cluster, "waits_for");
        let patient =
            waits_for.contains("which is replaced in") && waits_for.contains("3 failovers by a time-out");
        if patient { Ok(()) } else { Err(waits_for) }
    });
    old
}

#[test]
fn patience_grows_and_an_operator_need_not_have_it() {
    if !Network::is_possible() {
        return;
    }
    let cluster = Cluster::on_machines("flap").with_pair();
    for (setting, value) in IMPATIENT_MONITOR {
        cluster.set_on_monitor(setting.trim_start_matches("pgautofailover."), value);
    }
    for node in &cluster.nodes {
        for (setting, value) in IMPATIENT_NODE {
            let sql = format!("ALTER SYSTEM SET {setting} = '{value}'");
            node.superuser("postgres", &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        node.superuser("postgres", "SELECT pg_reload_conf()").expect("a reload");
    }
    let monitor = cluster.monitor.pgdata.to_str().expect("a path of ours");
    let oracles = Oracles::start(&cluster);
    // Silence convicts after 1.2 s, and after two failovers after twice that.
    let silence = |late: &str| format!("silence outlasted every lease {late}");
    flap(&cluster);
    assert_eq!(says(&cluster, "patience"), "");
    flap(&cluster);
    assert!(says(&cluster, "patience").starts_with("2 failovers by a time-out within 10 min"));
    flap(&cluster);
    let third = failovers(&cluster, 2_400);
    assert_eq!(third.rsplit(", ").next(), Some(silence("t").as_str()), "{third}");
    assert_eq!(failovers(&cluster, 1_200), [silence("t"), silence("t"), silence("t")].join(", "));

    // Four times as long by now: 16 s. A primary that is back by then goes on.
    cluster.set_on_monitor("node_considered_unhealthy_timeout", "4s");
    wait::until("the monitor has read its setting", FAILOVER, || match says(&cluster, "patience") {
        patience if patience.contains("a silent primary is waited for 16 s") => Ok(()),
        other => Err(other),
    });
    let shown = cluster.cli(&["show", "state", "--pgdata", monitor]);
    assert!(shown.contains("group 0 of formation default is patient after 3 failovers"), "{shown}");
    let terms = || ask(&cluster, "SELECT count(*) FROM pgautofailover.failover");
    let (before, old) = (terms(), cut_until_it_is_waited_for(&cluster));
    cluster.network().plug(old);
    oracles.wait_for_writes();
    assert_eq!(primary(&cluster).name, old.name, "no failover");
    assert_eq!(terms(), before);

    // An operator does not wait.
    let old = cut_until_it_is_waited_for(&cluster);
    ask(&cluster, "SELECT pgautofailover.perform_failover()");
    cluster.wait_writer(cluster.other(old), FAILOVER);
    assert!(failovers(&cluster, 16_000).ends_with("handed over f"), "{}", failovers(&cluster, 16_000));
    cluster.network().plug(old);

    // What an operator has asked for does not count, and he can have the others forgotten.
    let old = cut_until_it_is_waited_for(&cluster);
    cluster.cli(&["perform", "forget-failovers", "--pgdata", monitor]);
    cluster.wait_writer(cluster.other(old), FAILOVER);
    assert!(failovers(&cluster, 16_000).ends_with(&silence("f")), "{}", failovers(&cluster, 16_000));
    assert_eq!(says(&cluster, "patience"), "");
    let told =
        "SELECT count(*) FROM pgautofailover.event WHERE description LIKE '%forget_failovers, asked for by%'";
    assert_eq!(ask(&cluster, told), "1");
    cluster.network().plug(old);
    primary(&cluster);
    oracles.finish(&cluster);
}
