//! A standby's server is taken down by its operator, in the words of the operations guide.
use regress::cluster::{Cluster, MONITOR_PASSWORD};
use regress::deadlines::{FAILOVER, REJOIN};
use regress::install::Install;
use regress::oracles::{Oracles, tell};
use regress::server::{Server, text};
use regress::wait;
use std::time::Instant;

/// What the guide says: psql, the monitor's URI, and one statement.
pub fn psql(cluster: &Cluster, statement: &str) -> Result<String, String> {
    let output = cluster.run(
        cluster
            .monitor
            .account
            .command(Install::find().program("psql"))
            .args(["-X", "-At", "-v", "VERBOSITY=verbose", "-c", statement, &cluster.monitor_uri()])
            .env("PGPASSWORD", MONITOR_PASSWORD),
    );
    let said = text(&output);
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// `start_maintenance('nodename', port)`; returns when the server may be taken down.
pub fn start_maintenance(cluster: &Cluster, node: &str, port: u16) {
    let statement = format!("select pgautofailover.start_maintenance('{node}', {port})");
    assert_eq!(psql(cluster, &statement).as_deref(), Ok("t"), "{statement}");
}

pub fn stop_maintenance(cluster: &Cluster, node: &str, port: u16) {
    let statement = format!("select pgautofailover.stop_maintenance('{node}', {port})");
    assert_eq!(psql(cluster, &statement).as_deref(), Ok("t"), "{statement}");
}

/// What the monitor shows of a node: reported, and assigned.
fn shown(cluster: &Cluster, node: &Server) -> String {
    let states = cluster.states().expect("the monitor answers");
    let seen = states.into_iter().find(|seen| seen.name == node.name).expect("a registered node");
    format!("{}/{}", seen.reported, seen.assigned)
}

fn standby_names(primary: &Server) -> String {
    primary.superuser("postgres", "SHOW synchronous_standby_names").expect("the primary answers")
}

/// It follows again, whatever it is called: a server in maintenance that runs is kept fresh.
fn wait_following(primary: &Server, sync_state: &str) {
    wait::until("the standby streams", REJOIN, || {
        match primary.superuser("postgres", "SELECT state, sync_state FROM pg_stat_replication").as_deref() {
            Ok(seen) if seen == format!("streaming|{sync_state}") => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    });
}

#[test]
fn a_secondary_is_taken_down_under_load() {
    let cluster = Cluster::pair("maintain");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let oracles = Oracles::start(&cluster);
    let began = Instant::now();

    start_maintenance(&cluster, &standby.name, standby.port);
    wait::until("the standby is in maintenance", FAILOVER, || match shown(&cluster, standby).as_str() {
        "maintenance/maintenance" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert_eq!(shown(&cluster, primary), "wait_primary/wait_primary", "by then the primary writes alone");
    assert_eq!(standby_names(primary), "", "and asynchronously");
    tell(&format!("in maintenance after {} ms", began.elapsed().as_millis()));
    wait_following(primary, "async");

    // The operator's plain tools. Nobody else starts or restarts it, and it is in maintenance whenever it runs.
    for _ in 0..2 {
        standby.stop();
        oracles.wait_for_writes();
        assert!(standby.running().is_none(), "somebody has started it again");
        standby.start();
        wait_following(primary, "async");
        assert_eq!(shown(&cluster, standby), "maintenance/maintenance");
    }
    assert!(!standby.log().contains("restarting in place"), "{}", standby.log_tail());

    stop_maintenance(&cluster, &standby.host, standby.port);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    assert_eq!(standby_names(primary), "ANY 1 (pgautofailover_standby_2)");
    assert!(!standby.log().contains("restarting in place"), "{}", standby.log_tail());
    let pause = oracles.longest_pause(began);
    let counts = oracles.finish(&cluster);
    assert_eq!(counts.unknown, 0, "no write failed");
    tell(&format!(
        "maintenance under load: longest pause in writes {} ms, {} rows acknowledged, none lost, none refused",
        pause.as_millis(),
        counts.acknowledged
    ));
}

/// Power cuts, restarts of the monitor and of the primary: the node stays in maintenance, and nobody is elected.
#[test]
fn maintenance_outlasts_reboots() {
    let cluster = Cluster::pair("reboots");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    start_maintenance(&cluster, &standby.host, standby.port);
    cluster.wait_state(standby, "maintenance", FAILOVER);
    let changes = || {
        cluster
            .ask_monitor(&format!(
                "SELECT count(*) FROM pgautofailover.event WHERE nodename = '{}'
                 AND (reportedstate, goalstate) IS DISTINCT FROM ('maintenance', 'maintenance')",
                standby.name
            ))
            .expect("the events")
    };
    let terms =
        || cluster.monitor.superuser("pg_auto_failover", "SELECT term FROM pgautofailover.group_state");
    let (before, term) = (changes(), terms());

    standby.kill_tree();
    standby.start();
    wait_following(primary, "async");
    cluster.monitor.stop();
    standby.kill_tree();
    primary.sql("INSERT INTO ledger VALUES (1)").expect("the primary needs neither of them");
    cluster.monitor.start();
    standby.start();
    wait_following(primary, "async");
    primary.kill_tree();
    primary.start();
    // Asked of the server: until it reports, the monitor shows the state of its former life.
    wait::until("it writes again, alone", REJOIN, || primary.sql("INSERT INTO ledger VALUES (2)"));
    cluster.wait_state(primary, "wait_primary", FAILOVER);
    wait_following(primary, "async");
    cluster.wait_state(standby, "maintenance", FAILOVER);
    assert_eq!(changes(), before, "the standby was never anything else");
    assert!(term.is_ok() && terms() == term, "somebody was elected: {term:?}, {:?}", terms());

    stop_maintenance(&cluster, &standby.name, standby.port);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    assert_eq!(primary.sql("SELECT id FROM ledger ORDER BY 1").as_deref().ok(), Some("1\n2"));
    cluster.check_logs();
}
