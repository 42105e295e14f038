//! Nodes that leave: by themselves, named from elsewhere, for good, or to be ordinary servers.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use regress::server::{Server, text};
use regress::wait;
use std::time::Instant;

#[track_caller]
fn drop_node(cluster: &Cluster, of: &Server, options: &[&str]) -> String {
    let mut command = cluster.pg_autoctl();
    command.args(["drop", "node"]).args(options).env("PGDATA", &of.pgdata);
    let output = cluster.run(&mut command);
    assert!(output.status.success(), "drop node {options:?}: {}", text(&output));
    text(&output)
}

fn names(cluster: &Cluster) -> Vec<String> {
    cluster.states().expect("the monitor answers").into_iter().map(|seen| seen.name).collect()
}

/// One row of the writer's own: what it is asked for when it stands alone.
fn still_writes(node: &Server, id: i64) {
    wait::until("the primary goes on writing", FAILOVER, || {
        node.sql(&format!("INSERT INTO ledger VALUES ({id})"))
    });
}

/// Named from the monitor, under load: commits go on, then its server stops by itself, and its data stays.
#[test]
fn a_secondary_is_dropped_from_afar() {
    let mut cluster = Cluster::pair("dropped");
    let (primary, secondary) = (cluster.node(1).clone(), cluster.node(2).clone());
    let oracles = Oracles::start(&cluster);
    let asked = Instant::now();
    let said = drop_node(&cluster, &cluster.monitor, &["--name", &secondary.name]);
    wait::until("the dropped node's server has stopped", FAILOVER, || {
        secondary.running().map_or(Ok(()), Err)
    });
    assert_eq!(names(&cluster), [primary.name.as_str()], "{said}");
    assert!(secondary.log().contains("dropped from its group"), "it says why: {}", secondary.log_tail());
    oracles.wait_for_writes();
    tell(&format!("longest pause in writes: {} ms", oracles.longest_pause(asked).as_millis()));
    assert!(secondary.pgdata.join("PG_VERSION").exists());

    let again = drop_node(&cluster, &cluster.monitor, &["--name", &secondary.name]);
    assert!(again.contains("no such node"), "{again}");

    // Started again by somebody, it neither writes nor follows.
    secondary.start();
    let refused = secondary.sql("INSERT INTO ledger VALUES (-7)").expect_err("it takes no writes");
    assert!(refused.is_read_only(), "{refused}");
    let following = secondary.superuser("postgres", "SELECT count(*) FROM pg_stat_wal_receiver");
    assert_eq!(following.as_deref(), Ok("0"));
    secondary.stop();
    cluster.nodes.pop();
    wait::until("the primary is alone", FAILOVER, || {
        let states = cluster.states().map_err(|error| error.to_string())?;
        let alone = states.iter().all(|node| node.reported == node.assigned && node.reported != "primary");
        if alone { Ok(()) } else { Err(format!("{states:?}")) }
    });
    oracles.finish_on(&cluster, &primary);
    still_writes(&primary, -8);
}

/// By its own PGDATA it stops; with --keep-running it is an ordinary server, read-only until it is promoted by hand.
#[test]
fn a_secondary_becomes_an_ordinary_server() {
    let cluster = Cluster::pair("ordinary");
    let (primary, secondary) = (cluster.node(1).clone(), cluster.node(2).clone());
    primary.sql("INSERT INTO ledger VALUES (-1)").expect("a row");
    let before = secondary.postmaster();
    let said = drop_node(&cluster, &secondary, &["--keep-running"]);
    assert!(said.contains("restarts the server once"), "it is announced: {said}");
    assert_eq!(names(&cluster), [primary.name.as_str()]);
    assert_ne!(secondary.postmaster(), before, "one restart");

    let show = |sql: &str| secondary.superuser("postgres", sql).expect(sql);
    assert_eq!(show("SHOW shared_preload_libraries"), "");
    assert_eq!(show("SHOW synchronous_standby_names"), "");
    assert_eq!(show("SHOW primary_conninfo"), "");
    assert_eq!(show("SELECT count(*) FROM pg_settings WHERE name LIKE 'pg_autoctl.%'"), "0");
    assert_eq!(show("SELECT count(*) FROM pg_replication_slots"), "0");
    assert_eq!(show("SELECT pg_is_in_recovery()"), "t");
    let hba = std::fs::read_to_string(secondary.pgdata.join("pg_hba.conf")).expect("pg_hba.conf");
    assert!(!hba.contains("pg_autoctl begin"), "{hba}");
    assert!(secondary.sql("SELECT count(*) FROM ledger").is_ok(), "it is where its clients know it");
    let slots = "SELECT count(*) FROM pg_replication_slots";
    wait::until("the primary keeps no WAL for it", FAILOVER, || match primary.superuser("postgres", slots) {
        Ok(count) if count == "0" => Ok(()),
        other => Err(other),
    });

    // The operator's word makes it writable, and nobody else's.
    let pg_ctl = secondary.install.program("pg_ctl");
    let promoted =
        cluster.run(secondary.account.command(pg_ctl).args(["promote", "-w", "-D"]).arg(&secondary.pgdata));
    assert!(promoted.status.success(), "{}", text(&promoted));
    secondary.sql("INSERT INTO ledger VALUES (-2)").expect("it is an ordinary server");
    still_writes(&primary, -2);

    let again = drop_node(&cluster, &secondary, &["--keep-running"]);
    assert!(again.contains("holds no node"), "{again}");
    secondary.sql("INSERT INTO ledger VALUES (-3)").expect("repeating changes nothing");
    cluster.check_logs();
}

#[test]
fn the_last_node_stays_writable_with_its_clients() {
    let cluster = {
        let mut cluster = Cluster::empty("last");
        cluster.create_monitor();
        cluster.create_node();
        cluster
    };
    let node = cluster.node(1).clone();
    cluster.wait_state(&node, "single", FAILOVER);
    node.superuser(
        "postgres",
        &format!(
            "CREATE ROLE {} LOGIN PASSWORD '{}'; CREATE TABLE ledger (id bigint); GRANT ALL ON ledger TO PUBLIC",
            regress::server::APP,
            regress::server::APP_PASSWORD
        ),
    )
    .expect("a table");
    node.sql("INSERT INTO ledger VALUES (1)").expect("it writes");
    drop_node(&cluster, &node, &["--keep-running"]);
    assert_eq!(names(&cluster), Vec::<String>::new());
    node.sql("INSERT INTO ledger VALUES (2)").expect("it writes after the restart");
    assert_eq!(node.superuser("postgres", "SHOW shared_preload_libraries").as_deref(), Ok(""));
    node.stop();
    node.start();
    node.sql("INSERT INTO ledger VALUES (3)").expect("and after any other");
}

/// Dropped by its own PGDATA: stopped. One that never comes back: `--force` does not wait for it.
#[test]
fn by_its_own_directory_and_for_good() {
    let mut cluster = Cluster::pair("forget");
    let (primary, secondary) = (cluster.node(1).clone(), cluster.node(2).clone());
    let said = drop_node(&cluster, &secondary, &[]);
    assert!(said.contains("stopped") && secondary.running().is_none(), "{said}");
    assert_eq!(names(&cluster), [primary.name.as_str()]);
    let again = drop_node(&cluster, &secondary, &[]);
    assert!(again.contains("holds no node"), "{again}");
    cluster.nodes.pop();

    std::fs::remove_dir_all(&secondary.pgdata).expect("making room");
    std::fs::remove_dir_all(secondary.state_dir()).expect("making room");
    let lost = cluster.create_node().clone();
    cluster.wait_settled_within(REJOIN);
    lost.kill_tree();
    std::fs::remove_dir_all(&lost.pgdata).expect("the disk is lost");
    drop_node(
        &cluster,
        &cluster.monitor,
        &["--hostname", &lost.host, "--pgport", &lost.port.to_string(), "--force"],
    );
    assert_eq!(names(&cluster), [primary.name.as_str()]);
    still_writes(&primary, -3);
}
