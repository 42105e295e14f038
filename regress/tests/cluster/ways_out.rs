//! Groups that wait for servers which do not come back: they say so, and the documented commands end the wait (docs/ways-out.md).
use crate::maintenance::psql;
use regress::cluster::Cluster;
use regress::deadlines::{CLONE, FAILOVER, REJOIN};
use regress::faults::Part;
use regress::oracles::{Oracles, tell};
use regress::server::{Server, text};
use regress::wait;
use std::fs;

/// A monitor and three nodes, settled, with the tables of the oracles.
fn three(name: &str) -> Cluster {
    let mut cluster = Cluster::pair(name);
    cluster.create_node();
    cluster.wait_settled_within(REJOIN);
    cluster
}

/// The primary, and the others in the order of their names.
fn roles(cluster: &Cluster) -> (&Server, Vec<&Server>) {
    let primary = cluster.wait_settled();
    (primary, cluster.nodes.iter().filter(|node| node.name != primary.name).collect())
}

/// Runs pg_autoctl on the monitor; its exit status and all that it said.
pub fn operate(cluster: &Cluster, arguments: &[&str]) -> (Option<i32>, String) {
    let monitor = cluster.monitor.pgdata.to_str().expect("a plain path");
    let output = cluster.run(cluster.pg_autoctl().args(arguments).args(["--pgdata", monitor]));
    (output.status.code(), text(&output))
}

/// `show state` says that the group waits for this.
pub fn wait_explained(cluster: &Cluster, what: &str) {
    wait::until(&format!("show state says \"{what}\""), FAILOVER, || {
        let (_, said) = operate(cluster, &["show", "state"]);
        if said.contains(what) { Ok(()) } else { Err(said) }
    });
}

fn superuser(server: &Server, sql: &str) -> String {
    server.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Waits until one standby alone is left in the rule that binds an election.
pub fn wait_for_rule_of_one(cluster: &Cluster) {
    wait::until("commits do not wait for the lost member any more", FAILOVER, || {
        match psql(cluster, "select pgautofailover.synchronous_standby_names()") {
            Ok(names) if names.starts_with("ANY 1 (") && !names.contains(',') => Ok(()),
            other => Err(other),
        }
    });
    // Until the primary has confirmed that, an election would need the lost member's pledge as well.
    wait::until("the primary has confirmed it", FAILOVER, || {
        let sql = "SELECT next_rule IS NULL FROM pgautofailover.group_state";
        match cluster.monitor.superuser("pg_auto_failover", sql).as_deref() {
            Ok("t") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

/// What was kept of a node's own before it was rewound or copied anew.
fn kept_aside(node: &Server, kind: &str) -> bool {
    let entries = fs::read_dir(node.state_dir().join("aside")).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(kind))
}

#[test]
fn both_standbys_are_lost_where_commits_wait_for_one() {
    let cluster = three("bothlost");
    let (primary, standbys) = roles(&cluster);
    let (code, said) = operate(&cluster, &["set", "formation", "number-sync-standbys", "1"]);
    assert_eq!(code, Some(0), "{said}");
    let oracles = Oracles::start(&cluster);
    standbys.iter().for_each(|standby| standby.kill_tree());
    wait_explained(&cluster, "to receive again: commits wait for them");
    wait_explained(&cluster, "pg_autoctl set formation number-sync-standbys 0");
    let waits = psql(&cluster, "select waits_for, ends_by from pgautofailover.explain()").expect("explain");
    assert!(waits.starts_with("1 of nodes ") && waits.contains("number-sync-standbys 0"), "{waits}");

    let (code, said) = operate(&cluster, &["set", "formation", "number-sync-standbys", "0"]);
    assert_eq!(code, Some(0), "{said}");
    cluster.wait_state(primary, "wait_primary", FAILOVER);
    oracles.wait_for_writes();
    standbys.iter().for_each(|standby| standby.start());
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    let settled = psql(&cluster, "select settled, waits_for from pgautofailover.explain()");
    assert_eq!(settled.as_deref(), Ok("t|"));
    let counts = oracles.finish(&cluster);
    tell(&format!("both standbys lost: {} rows acknowledged, 0 lost", counts.acknowledged));
}

#[test]
fn two_of_three_are_gone_for_good() {
    let cluster = three("gone");
    let (old, standbys) = roles(&cluster);
    let (lagging, gone) = (standbys[0], standbys[1]);
    let refused = operate(&cluster, &["perform", "force-promotion", "--name", &lagging.name]);
    assert!(refused.0 == Some(3) && refused.1.contains("the primary may be alive"), "{refused:?}");

    // What these rows are acknowledged by, the one that is left does not have.
    lagging.freeze();
    superuser(old, "INSERT INTO ledger SELECT generate_series(1, 1000)");
    old.kill_tree();
    gone.kill_tree();
    lagging.thaw();
    wait_explained(&cluster, "alone, away as well");
    let refused = operate(&cluster, &["perform", "failover"]);
    assert_eq!(refused.0, Some(3), "{}", refused.1);

    let (code, said) = operate(&cluster, &["perform", "force-promotion", "--name", &lagging.name]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("bytes more, up to") && said.contains("--accept-data-loss"), "{said}");
    let call = format!("select pgautofailover.force_promotion('default', '{}')", lagging.name);
    let refused = psql(&cluster, &call).expect_err("data loss is not accepted");
    assert!(refused.contains("2BP01"), "{refused}");
    assert!(lagging.sql("INSERT INTO ledger VALUES (-1)").is_err(), "nothing has begun");

    let arguments = ["perform", "force-promotion", "--accept-data-loss", "--name", &lagging.name];
    let (code, said) = operate(&cluster, &arguments);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("given up: "), "{said}");
    lagging.sql("INSERT INTO ledger VALUES (-2)").expect("it takes writes");
    tell(said.lines().find(|line| line.contains("given up")).unwrap_or_default());

    // One never comes back; the other one does, and what it alone had is kept.
    let (code, said) = operate(&cluster, &["drop", "node", "--force", "--name", &gone.name]);
    assert_eq!(code, Some(0), "{said}");
    old.start();
    wait::until("the former primary follows", REJOIN, || {
        let states = cluster.states().map_err(|error| error.to_string())?;
        let secondary = states.iter().any(|seen| seen.name == old.name && seen.reported == "secondary");
        if secondary { Ok(()) } else { Err(format!("{states:?}")) }
    });
    assert!(kept_aside(old, "-wal") || kept_aside(old, "-pgdata"), "{}", old.log_tail());
    assert_eq!(superuser(old, "SELECT id FROM ledger"), "-2", "the forced winner's history is the group's");
    let reigns = cluster.ask_monitor("SELECT count(*) FROM pgautofailover.reign");
    assert_eq!(reigns.expect("the monitor answers"), "2");
    cluster.check_logs();
}

/// Law 4: no failover leaves from a reign that wrote alone. In SQL.
#[test]
fn a_primary_that_wrote_alone_is_gone_for_good() {
    let cluster = Cluster::pair("alonegone");
    let old = cluster.wait_settled();
    let standby = cluster.other(old);
    standby.kill_tree();
    cluster.wait_state(old, "wait_primary", FAILOVER);
    old.sql("INSERT INTO ledger VALUES (1)").expect("it writes alone");
    let written = superuser(old, "SELECT pg_current_wal_lsn()");
    wait::until("the monitor has heard of that row's WAL", FAILOVER, || {
        let asked = format!(
            "select reportedlsn >= '{written}' from pgautofailover.node where nodename = '{}'",
            old.name
        );
        if psql(&cluster, &asked)? == "t" { Ok(()) } else { Err(written.clone()) }
    });
    old.kill_tree();
    standby.start();
    wait_explained(&cluster, "it was writing alone, and nobody else is known to have its commits");
    wait_explained(&cluster, "pg_autoctl perform force-promotion");
    let call = |accept: &str| {
        psql(
            &cluster,
            &format!("select pgautofailover.force_promotion('default', '{}'{accept})", standby.name),
        )
    };
    let refused = call("").expect_err("data loss is not accepted");
    assert!(refused.contains("2BP01") && refused.contains("the last primary (node"), "{refused}");
    let lost = call(", accept_data_loss => true").expect("a forced promotion");
    assert!(lost.contains("bytes more, up to"), "{lost}");
    cluster.wait_state(standby, "wait_primary", FAILOVER);
    standby.sql("INSERT INTO ledger VALUES (2)").expect("it takes writes");
    let events = psql(&cluster, "select description from pgautofailover.last_events(50)").expect("events");
    assert!(events.contains("force_promotion with data loss accepted"), "{events}");

    old.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    assert!(kept_aside(old, "-wal") || kept_aside(old, "-pgdata"), "{}", old.log_tail());
    assert_eq!(old.sql("SELECT id FROM ledger").expect("a standby reads"), "2");
    cluster.check_logs();
}

/// Law 9. While it was away, and without our library, a standby was promoted by hand; the group has elected another from the same
/// point, so both have timeline 2. It was out of the rule by then, which three nodes can do without it.
#[test]
fn equal_timelines_of_different_histories_are_told_apart() {
    let cluster = three("sametli");
    cluster.set_on_monitor("member_timeout", "3s");
    let (old, standbys) = roles(&cluster);
    let (winner, stray) = (standbys[0], standbys[1]);
    let oracles = Oracles::start(&cluster);
    stray.stop();
    wait_for_rule_of_one(&cluster);
    // No client finds it there.
    stray.start_with("-c shared_preload_libraries='' -c primary_conninfo='' -c listen_addresses=''");
    superuser(stray, "SELECT pg_promote()");
    superuser(stray, "CREATE TABLE astray (id int)");
    stray.stop();

    old.kill_tree();
    cluster.wait_state(winner, "wait_primary", FAILOVER);
    oracles.wait_for_writes();
    let timeline = "SELECT timeline_id FROM pg_control_checkpoint()";
    wait::until("the winner has made a checkpoint", FAILOVER, || {
        match superuser(winner, timeline).as_str() {
            "2" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    stray.start();
    old.start();
    assert_eq!(cluster.wait_settled_within(CLONE).name, winner.name);
    assert!(kept_aside(stray, "-pgdata"), "the directory with its own timeline 2 is kept");
    assert_eq!(superuser(stray, "SELECT to_regclass('astray') IS NULL"), "t");
    assert_eq!(superuser(stray, "SELECT received_tli FROM pg_stat_wal_receiver"), "2");
    oracles.finish(&cluster);
}

/// Law 9, in the reign that it followed: it has more WAL than anybody, and none of it counts. The primary dies while commits still
/// wait for one of two members, of which it is one.
#[test]
fn who_was_promoted_by_hand_carries_no_election() {
    let cluster = three("byhand");
    let (old, standbys) = roles(&cluster);
    let stray = standbys[1];
    let oracles = Oracles::start(&cluster);
    stray.stop();
    // No client finds it there.
    stray.start_with("-c shared_preload_libraries='' -c primary_conninfo='' -c listen_addresses=''");
    for sql in [
        "SELECT pg_promote()",
        "CREATE TABLE astray (id int)",
        "SELECT pg_switch_wal()",
        "CREATE TABLE more (id int)",
        "SELECT pg_switch_wal()",
    ] {
        superuser(stray, sql);
    }
    stray.stop();
    oracles.wait_for_writes();
    old.kill_tree();
    stray.start();
    wait::until("it has found out what it is", REJOIN, || {
        if stray.log().contains("promoted by somebody else") { Ok(()) } else { Err(stray.log_tail()) }
    });
    wait::until("the monitor knows it", FAILOVER, || {
        let states = cluster.states().map_err(|error| error.to_string())?;
        let known = states.iter().any(|seen| seen.name == stray.name && seen.reported == "demoted");
        if known { Ok(()) } else { Err(format!("{states:?}")) }
    });
    old.start();
    cluster.wait_settled_within(CLONE);
    assert!(kept_aside(stray, "-pgdata"), "what it alone had is kept");
    assert_eq!(superuser(stray, "SELECT to_regclass('astray') IS NULL"), "t");
    oracles.finish(&cluster);
}

/// The primary dies before it has confirmed a rule without the node that is to leave.
#[test]
fn a_request_to_leave_outlasts_a_failover() {
    let mut cluster = three("wish");
    let (old, standbys) = roles(&cluster);
    let (leaves, stays) = (standbys[0].clone(), standbys[1].clone());
    let old = old.clone();
    let oracles = Oracles::start(&cluster);
    old.signal("STOP", Part::Keeper);
    let asked =
        psql(&cluster, &format!("select pgautofailover.remove_node('{}', {})", leaves.host, leaves.port));
    assert_eq!(asked.as_deref(), Ok("t"));
    old.kill_tree();
    wait::until("the other standby writes", FAILOVER, || {
        let states = cluster.states().map_err(|error| error.to_string())?;
        let writes = states.iter().any(|seen| seen.name == stays.name && seen.reported == "wait_primary");
        if writes { Ok(()) } else { Err(format!("{states:?}")) }
    });
    wait::until("the node has left, and its server has stopped", FAILOVER, || {
        let states = cluster.states().map_err(|error| error.to_string())?;
        let there = states.iter().any(|seen| seen.name == leaves.name);
        if there || leaves.running().is_some() { Err(format!("{states:?}")) } else { Ok(()) }
    });
    old.start();
    cluster.nodes.retain(|node| node.name != leaves.name);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, stays.name);
    oracles.finish(&cluster);
}

/// Everything lost power, and the monitor does not come back. Nobody writes, and the node says why; then its operator decides.
#[test]
fn a_site_comes_back_before_its_monitor() {
    let cluster = Cluster::pair("site");
    let (primary, standby) = (cluster.wait_settled(), cluster.other(cluster.wait_settled()));
    superuser(primary, "CREATE EXTENSION pg_autoctl");
    primary.sql("INSERT INTO ledger VALUES (1)").expect("it writes");
    for server in [&cluster.monitor, primary, standby] {
        server.kill_tree();
    }
    primary.start();
    standby.start();
    let on = |node: &Server, arguments: &[&str]| {
        let pgdata = node.pgdata.to_str().expect("a plain path");
        let output = cluster.run(cluster.pg_autoctl().args(arguments).args(["--pgdata", pgdata]));
        (output.status.code(), text(&output))
    };
    wait::until("the node says what it waits for", FAILOVER, || match on(primary, &["show", "state"]) {
        (_, said) if said.contains("pg_autoctl perform start-without-monitor") => Ok(()),
        (_, said) => Err(said),
    });
    let refused = primary.sql("INSERT INTO ledger VALUES (2)").expect_err("it is read-only");
    assert!(refused.is_read_only(), "{refused}");

    let start = ["perform", "start-without-monitor"];
    let (code, said) = on(primary, &start);
    assert!(code == Some(3) && said.contains("commits waited for 1 of nodes"), "{said}");
    let accept = [start[0], start[1], "--accept-data-loss"];
    let (code, said) = on(standby, &accept);
    assert!(code == Some(3) && said.contains("was not the primary"), "{said}");
    let (code, said) = on(primary, &accept);
    assert_eq!(code, Some(0), "{said}\n{}", primary.log_tail());
    primary.sql("INSERT INTO ledger VALUES (3)").expect("it writes alone");
    let (code, said) = on(primary, &accept);
    assert!(code == Some(0) && said.contains("already"), "{said}");

    cluster.monitor.start();
    // Before that, it shows the group as it was when the power failed.
    wait::until("the monitor has taken in who writes alone", REJOIN, || {
        let events = psql(&cluster, "select description from pgautofailover.last_events(50)");
        match events {
            Ok(events) if events.contains("take in who was told to write alone") => Ok(()),
            seen => Err(seen),
        }
    });
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    assert_eq!(superuser(standby, "SELECT string_agg(id::text, ',' ORDER BY id) FROM ledger"), "1,3");
    let (code, said) = on(primary, &accept);
    assert!(code == Some(3) && said.contains("the monitor answers"), "{said}");
    cluster.check_logs();
}

/// Both nodes lost power. The primary comes back first: nobody was promoted, so it is confirmed, and goes on with its timeline.
#[test]
fn nobody_was_promoted_meanwhile() {
    let cluster = Cluster::pair("confirmed");
    let (primary, standby) = (cluster.wait_settled(), cluster.other(cluster.wait_settled()));
    primary.sql("INSERT INTO ledger VALUES (1)").expect("it writes");
    standby.kill_tree();
    primary.kill_tree();
    primary.start();
    // Asked of the server: until it reports, the monitor shows the state of its former life.
    wait::until("it writes again", REJOIN, || primary.sql("INSERT INTO ledger VALUES (2)"));
    standby.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    assert_eq!(superuser(primary, "SELECT timeline_id FROM pg_control_checkpoint()"), "1");
    assert_eq!(superuser(standby, "SELECT count(*) FROM ledger"), "2");
    cluster.check_logs();
}
