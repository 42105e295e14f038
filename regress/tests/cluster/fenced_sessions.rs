//! A primary that may not commit serves nobody, and serves again when it may.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN, STATEMENT, patient};
use regress::faults::Part;
use regress::oracles::tell;
use regress::server::{APP_PASSWORD, Server, text};
use regress::session::{Session, target};
use regress::wait;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Instant;

/// libpq goes on to the next host after this one.
const CANNOT_CONNECT_NOW: &str = "57P03";

fn is_refused(primary: &Server) -> Result<(), String> {
    match primary.sql("SELECT 1") {
        Err(error)
            if error.code.as_deref() == Some(CANNOT_CONNECT_NOW)
                && error.message.contains("serves no sessions") =>
        {
            Ok(())
        }
        seen => Err(format!("{seen:?}")),
    }
}

/// A transaction that writes no WAL waits for no standby.
fn commits_are_refused(primary: &Server) -> Result<String, String> {
    match primary.superuser("postgres", "SELECT pg_current_xact_id()") {
        Err(said) if said.contains("this node may not commit") => Ok(said),
        seen => Err(format!("{seen:?}")),
    }
}

/// psql as a client, with these hosts.
fn psql(cluster: &Cluster, hosts: &[&Server], more: &str, sql: &str) -> Result<String, String> {
    let list =
        |of: &dyn Fn(&Server) -> String| hosts.iter().map(|host| of(host)).collect::<Vec<_>>().join(",");
    let (names, ports) = (list(&|host| host.host.clone()), list(&|host| host.port.to_string()));
    let conninfo = format!(
        "host={names} port={ports} user=app dbname=postgres sslmode=require connect_timeout=5 {more}"
    );
    let mut command = cluster.monitor.account.command(cluster.programs().join("psql"));
    let output =
        cluster.run(command.args(["-X", "-w", "-At", "-c", sql, &conninfo]).env("PGPASSWORD", APP_PASSWORD));
    if output.status.success() { Ok(text(&output)) } else { Err(text(&output)) }
}

#[test]
fn an_isolated_primary_serves_nobody_until_its_lease_is_back() {
    let cluster = Cluster::pair("fenced");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let postmaster = primary.postmaster();
    let session = Session::open(&primary.app()).expect("connecting");
    let reads = || {
        session
            .rows("SELECT count(*) FROM ledger", patient(STATEMENT))
            .map(drop)
            .map_err(|error| error.to_string())
    };
    reads().expect("reading");

    let began = Instant::now();
    cluster.monitor.freeze();
    standby.freeze();
    wait::until("commits are refused", FAILOVER, || commits_are_refused(primary));
    let fenced = began.elapsed();
    wait::until("the session is ended", FAILOVER, || reads().err().ok_or("it reads"));
    wait::until("new sessions are refused", FAILOVER, || is_refused(primary));
    tell(&format!(
        "isolated: commits refused after {:.1} s, sessions ended after {:.1} s",
        fenced.as_secs_f64(),
        began.elapsed().as_secs_f64()
    ));

    // Those who have to look or to work here are let in.
    primary.superuser("postgres", "SELECT count(*) FROM ledger").expect("the operator on the machine");
    let password = primary.secret("replication_password");
    let node = target(&primary.host, primary.port, "pgautofailover_replicator", &password, "postgres");
    Session::open(&node).expect("another node");

    // By choice of the operator sessions may read.
    let allow = |value: &str| {
        for sql in [&format!("ALTER SYSTEM SET pg_autoctl.fenced_reads = {value}"), "SELECT pg_reload_conf()"]
        {
            primary.superuser("postgres", sql).expect(sql);
        }
    };
    allow("allow");
    let reader = wait::until("sessions are let in", STATEMENT, || {
        Session::open(&primary.app()).map_err(|error| error.to_string())
    });
    reader.rows("SELECT count(*) FROM ledger", patient(STATEMENT)).expect("reading");
    let refused =
        reader.rows("INSERT INTO ledger VALUES (-2)", patient(STATEMENT)).expect_err("it may not commit");
    assert!(refused.is_read_only(), "{refused}");
    allow("refuse");
    wait::until("new sessions are refused again", STATEMENT, || is_refused(primary));

    // Contact with its standby is enough for a lease.
    standby.thaw();
    wait::until("the primary writes again", FAILOVER, || primary.sql("INSERT INTO ledger VALUES (1)"));
    assert_eq!(primary.postmaster(), postmaster, "without a restart");
    cluster.monitor.thaw();
    cluster.wait_settled();
    cluster.check_logs();
}

/// What holds the lease is frozen, not the server: its sessions are not to suffer for it.
#[test]
fn a_frozen_keeper_stops_commits_and_no_session() {
    let cluster = Cluster::pair("keeper");
    let primary = cluster.wait_settled();
    let session = Session::open(&primary.app()).expect("connecting");
    let write = |id: i64| session.rows(&format!("INSERT INTO ledger VALUES ({id})"), patient(STATEMENT));
    write(0).expect("a row");
    primary.signal("STOP", Part::Keeper);
    let mut id = 0;
    let refusal = wait::until("commits are refused", FAILOVER, || {
        id += 1;
        write(id).err().ok_or(id)
    });
    assert!(refusal.is_read_only(), "{refusal}");
    session.rows("SELECT count(*) FROM ledger", patient(STATEMENT)).expect("the session goes on");
    primary.signal("CONT", Part::Keeper);
    wait::until("the same session writes again", FAILOVER, || {
        id += 1;
        write(id).map_err(|error| error.to_string())
    });
    assert_eq!(cluster.wait_settled().name, primary.name);
    cluster.check_logs();
}

/// A former primary that cannot restart tells where its successor is, and stands in no client's way.
#[test]
fn who_is_refused_hears_where_the_primary_is() {
    let cluster = Cluster::pair("detail");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    old.freeze();
    cluster.wait_state(new, "wait_primary", FAILOVER);
    // It must not come back as a standby at once.
    let configuration = old.pgdata.join("postgresql.conf");
    let intact = fs::read_to_string(&configuration).expect("reading the configuration");
    let mut broken = OpenOptions::new().append(true).open(&configuration).expect("the configuration");
    writeln!(broken, "port = 'none'").expect("breaking the configuration");
    old.thaw();
    let place = format!("The present primary is node 2 at {}:{}.", new.host, new.port);
    let said = wait::until("the refusal names the primary", REJOIN, || match commits_are_refused(old) {
        Ok(said) if said.contains(&place) => Ok(said),
        seen => Err(seen),
    });
    assert!(said.contains("HINT:"), "{said}");
    let said = psql(&cluster, &[old], "", "SELECT 1").expect_err("it serves no sessions");
    assert!(said.contains("this node serves no sessions") && said.contains(&place), "{said}");
    let both = [old, new];
    psql(&cluster, &both, "target_session_attrs=read-write", "INSERT INTO ledger VALUES (2)")
        .expect("the next host takes it");

    fs::write(&configuration, intact).expect("repairing the configuration");
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    cluster.check_logs();
}
