//! New passwords while everything runs: nobody waits for them, and the old ones open nothing any more.
use regress::cluster::{Cluster, MONITOR_PASSWORD};
use regress::deadlines::{COMMAND, REJOIN, START};
use regress::faults::Part;
use regress::oracles::{Oracles, tell};
use regress::server::{Server, rows_as_text, text};
use regress::session::{Session, SqlError, target};
use regress::{process, wait};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
/// Far below what a failover takes; what a busy machine adds to three writers.
const NO_PAUSE: Duration = Duration::from_millis(700);

fn rotate(cluster: &mut Cluster) {
    let pgdata = cluster.monitor.pgdata.to_str().expect("a plain path").to_owned();
    cluster.cli(&["perform", "rotation", "--pgdata", &pgdata]);
    cluster.monitor_password = shown_password(cluster);
}

/// What `show uri --with-password` has between the role and the host.
fn shown_password(cluster: &Cluster) -> String {
    let pgdata = cluster.monitor.pgdata.to_str().expect("a plain path");
    let uri = cluster.cli(&["show", "uri", "--with-password", "--pgdata", pgdata]);
    let (_, rest) = uri.split_once("autoctl_node:").expect("a role with a password");
    rest.split_once('@').expect("a host").0.to_owned()
}

fn as_replicator(node: &Server, password: &str) -> Result<String, SqlError> {
    rows_as_text(
        &target(&node.host, node.port, "pgautofailover_replicator", password, "postgres"),
        "SELECT 1",
    )
}

fn is_refused(answer: &Result<String, SqlError>) -> bool {
    matches!(answer, Err(SqlError { code: Some(code), .. }) if code == "28P01")
}

/// The number of the session that the node's keeper has with the monitor: the PID of its backend there.
fn session_of(cluster: &Cluster, node: &Server) -> Result<String, String> {
    let keeper = node.find(Part::Keeper).ok_or("no keeper")?;
    Ok(format!(
        "{keeper} with {}",
        cluster.monitor.superuser(
            "postgres",
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_autoctl keeper'"
        )?
    ))
}

#[test]
fn nobody_waits_and_the_old_ones_open_nothing() {
    let mut cluster = Cluster::pair("rotate");
    let oracles = Oracles::start(&cluster);
    let old = cluster.node(1).secret("replication_password");
    let postmasters: Vec<u32> = cluster.nodes.iter().map(Server::postmaster).collect();
    let began = Instant::now();
    let mut used = vec![old.clone()];
    for round in 1..=ROUNDS {
        let asked = Instant::now();
        rotate(&mut cluster);
        let took = asked.elapsed();
        for node in &cluster.nodes {
            assert_eq!(
                node.secret("monitor_password"),
                cluster.monitor_password,
                "{} has the new password",
                node.name
            );
            let group = node.secret("replication_password");
            assert!(!used[..round].contains(&group), "{} has a new password for replication", node.name);
            used.push(group);
        }
        used.truncate(round);
        used.push(cluster.node(1).secret("replication_password"));
        assert_eq!(used.last(), Some(&cluster.node(2).secret("replication_password")));
        tell(&format!("rotation {round}: both passwords in {} ms", took.as_millis()));
    }
    oracles.wait_for_writes();
    let pause = oracles.longest_pause(began);
    tell(&format!("{ROUNDS} rotations: longest pause in writes {} ms", pause.as_millis()));
    assert!(pause < NO_PAUSE, "writes paused for {} ms", pause.as_millis());
    let now: Vec<u32> = cluster.nodes.iter().map(Server::postmaster).collect();
    assert_eq!(now, postmasters, "no server was restarted");

    let primary = cluster.wait_settled().clone();
    for used in &used[..ROUNDS] {
        assert!(is_refused(&as_replicator(&primary, used)), "an old password opens the primary");
    }
    wait::until("the new password opens the primary", COMMAND, || as_replicator(&primary, &used[ROUNDS]));
    let by_old = target(
        &cluster.monitor.host,
        cluster.monitor.port,
        "autoctl_node",
        MONITOR_PASSWORD,
        "pg_auto_failover",
    );
    assert!(is_refused(&rows_as_text(&by_old, "SELECT 1")), "the first password opens the monitor");

    // A keeper that starts anew comes in by what is in its file.
    for node in cluster.nodes.clone() {
        let before = node.part(Part::Keeper);
        process::signal("TERM", &[before]);
        wait::until(&format!("{} has another keeper, and the monitor both", node.name), START, || {
            match (node.find(Part::Keeper), session_of(&cluster, &node)?) {
                (Some(now), seen) if now != before && seen.ends_with("with 2") => Ok(()),
                (_, seen) => Err(seen),
            }
        });
    }
    cluster.wait_settled_within(REJOIN);
    let standby = cluster.other(&primary).clone();
    standby.stop();
    standby.start();
    cluster.wait_settled_within(REJOIN);
    primary.kill_tree();
    oracles.wait_for_writes();
    primary.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    let counts = oracles.finish(&cluster);
    tell(&format!("rotation: {} rows acknowledged, 0 lost, {} unknown", counts.acknowledged, counts.unknown));
}

#[test]
fn who_was_away_is_named_and_comes_back() {
    let mut cluster = Cluster::pair("away");
    let standby = cluster.other(cluster.wait_settled()).clone();
    standby.stop();
    let pgdata = cluster.monitor.pgdata.to_str().expect("a plain path").to_owned();
    let seen = wait::until("the rotation is refused", COMMAND, || {
        let output = cluster.run(cluster.pg_autoctl().args(["perform", "rotation", "--pgdata", &pgdata]));
        if output.status.code() == Some(3) { Ok(text(&output)) } else { Err(text(&output)) }
    });
    assert!(seen.contains(&standby.name) && seen.contains("--force"), "{seen}");
    assert!(Session::open(&cluster.monitor_config()).is_ok(), "a refused rotation changes nothing");

    let told = cluster.cli(&["perform", "rotation", "--force", "--pgdata", &pgdata]);
    assert!(told.contains(&format!("without: {}", standby.name)), "{told}");
    cluster.monitor_password = shown_password(&cluster);
    standby.start();
    wait::until("the standby's keeper is refused", START, || {
        if standby.log().contains("password authentication failed") { Ok(()) } else { Err("not yet") }
    });
    // The command of the documentation.
    let again = cluster.run(&mut cluster.create_postgres(&standby));
    assert!(again.status.success(), "{}", text(&again));
    let primary = cluster.other(&standby).secret("replication_password");
    wait::until("the standby has the group's new password", REJOIN, || {
        if standby.secret("replication_password") == primary { Ok(()) } else { Err("not yet") }
    });
    cluster.wait_settled_within(REJOIN);
    cluster.check_logs();
}

#[test]
fn a_command_that_was_killed_goes_on_when_it_is_repeated() {
    let mut cluster = Cluster::pair("resume");
    let standby = cluster.other(cluster.wait_settled()).clone();
    let keeper = standby.part(Part::Keeper);
    process::signal("STOP", &[keeper]);
    let pgdata = cluster.monitor.pgdata.to_str().expect("a plain path").to_owned();
    let mut command = cluster.pg_autoctl();
    command.args(["perform", "rotation", "--pgdata", &pgdata]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("running pg_autoctl");
    let newest = "SELECT max(replication_password_number) FROM pgautofailover.node_state";
    let before = cluster.ask_monitor(newest).expect("the numbers of passwords");
    let held = wait::until("the primary has the new password and the standby has not", COMMAND, || {
        match cluster.ask_monitor(newest) {
            Ok(now) if now != before => Ok(now),
            other => Err(format!("{other:?}")),
        }
    });
    child.kill().expect("killing pg_autoctl");
    child.wait().expect("waiting for pg_autoctl");
    let mut again = cluster.pg_autoctl();
    again.args(["perform", "rotation", "--pgdata", &pgdata]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut again = again.spawn().expect("running pg_autoctl");
    let said = BufReader::new(again.stderr.take().expect("its stderr"));
    let waits = said.lines().map_while(Result::ok).find(|line| line.contains("waits for every node"));
    assert!(waits.is_some(), "the repeated command ended before every node had the password");
    assert_eq!(cluster.ask_monitor(newest).as_ref().ok(), Some(&held), "the password that was on its way");
    process::signal("CONT", &[keeper]);
    assert!(again.wait().expect("waiting for pg_autoctl").success());
    cluster.monitor_password = shown_password(&cluster);
    let all =
        "SELECT string_agg(DISTINCT replication_password_number::text, ',') FROM pgautofailover.node_state";
    assert_eq!(cluster.ask_monitor(all).expect("the numbers of passwords"), held, "every node has that one");
    rotate(&mut cluster);
    assert_ne!(cluster.ask_monitor(all).expect("the numbers of passwords"), held, "a new one");
    cluster.wait_settled_within(REJOIN);
    cluster.check_logs();
}
