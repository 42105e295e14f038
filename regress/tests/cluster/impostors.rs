//! Somebody who has the replication password calls himself by a node's name. No commit is acknowledged for what he has.
use crate::false_acknowledgement::{Waiting, freeze, hold_on_to_standbys};
use regress::cluster::Cluster;
use regress::deadlines::{DEATH, FAILOVER, REJOIN, STATEMENT, patient};
use regress::oracles::{Oracles, tell};
use regress::process;
use regress::server::{Server, text};
use regress::session::Session;
use regress::wait;
use std::process::{Child, Command, Stdio};

const MEMBER: &str = "pgautofailover_standby_2";
const REFUSAL: &str = "only who streams by the slot";

/// What the impostor runs: a program of PostgreSQL's with the password of the replication role.
fn program(cluster: &Cluster, primary: &Server, name: &str) -> Command {
    let mut command = cluster.monitor.account.command(cluster.programs().join(name));
    command.env("PGPASSWORD", primary.secret("replication_password"));
    command
}

fn conninfo(primary: &Server, name: &str) -> String {
    let (host, port) = (&primary.host, primary.port);
    format!("host={host} port={port} user=pgautofailover_replicator sslmode=require application_name={name}")
}

fn receivewal(cluster: &Cluster, primary: &Server, name: &str, arguments: &[&str]) -> Command {
    let directory = cluster.directory().join("impostor");
    std::fs::create_dir_all(&directory).expect("making a directory");
    cluster.monitor.account.own(&directory);
    let mut command = program(cluster, primary, "pg_receivewal");
    command.args(["--no-loop", "-w", "-d", &conninfo(primary, name), "-D"]).arg(directory).args(arguments);
    command
}

/// One that goes on until it is dropped.
struct Receiving(Child);

impl Drop for Receiving {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_name_without_its_slot_releases_no_commit() {
    let cluster = Cluster::pair("impostor");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    hold_on_to_standbys(primary);
    let watcher = Session::open(&primary.app()).expect("connecting");
    let receiver = freeze(standby);
    let session = Session::open(&primary.app()).expect("connecting");
    let waiting = Waiting::begin("an insert", session, "INSERT INTO ledger VALUES (1)".to_owned(), &watcher);

    let refused = |what: &str, command: &mut Command, why: &str| {
        let output = cluster.run(command);
        let said = text(&output);
        assert!(!output.status.success() && said.contains(why), "{what} was let in: {said}");
        assert!(!waiting.is_answered(), "{what} had a commit acknowledged");
    };
    let shouted = MEMBER.to_uppercase();
    for (name, arguments) in
        [(MEMBER, &[][..]), (MEMBER, &["--synchronous"]), (shouted.as_str(), &["--synchronous"])]
    {
        let mut command = receivewal(&cluster, primary, name, arguments);
        refused(&format!("pg_receivewal as {name} {arguments:?}"), &mut command, REFUSAL);
    }
    let busy = &["--synchronous", "--slot", MEMBER];
    refused("one with the slot", &mut receivewal(&cluster, primary, MEMBER, busy), "is active for PID");
    let mut later = program(&cluster, primary, "psql");
    let as_database = format!("{} dbname=postgres replication=database", conninfo(primary, "innocent"));
    later.args([
        "-X",
        "-w",
        "-c",
        &format!("SET application_name = '{MEMBER}'"),
        "-c",
        "START_REPLICATION 0/1000000",
    ]);
    refused("one who changes the name later", later.arg(as_database), REFUSAL);

    // Under a name of one's own everybody with the password may receive, and no commit waits for that.
    let mut command = receivewal(&cluster, primary, "archive", &["--synchronous"]);
    let archive =
        Receiving(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pg_receivewal"));
    wait::until("the archive has what the commit waits for", STATEMENT, || {
        let sql = "SELECT flush_lsn >= pg_current_wal_flush_lsn(), sync_state FROM pg_stat_replication
                    WHERE application_name = 'archive'";
        match primary.superuser("postgres", sql).as_deref() {
            Ok("t|async") => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    });
    assert!(!waiting.is_answered(), "an archive had a commit acknowledged");
    drop(archive);
    process::signal("CONT", &[receiver]);
    waiting.succeeds();

    // The member is gone for the moment, and its slot is free.
    standby.kill_tree();
    refused_while_away(&cluster, primary);
    standby.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    cluster.check_logs();
}

fn refused_while_away(cluster: &Cluster, primary: &Server) {
    let mut command = receivewal(cluster, primary, MEMBER, &["--synchronous"]);
    let output = cluster.run(&mut command);
    assert!(text(&output).contains(REFUSAL), "{}", text(&output));
}

/// The walsender of a node that is to leave the rule has not heard of it: it would still release commits.
#[test]
fn no_rule_is_confirmed_before_every_walsender_knows_it() {
    let mut cluster = Cluster::pair("walsenders");
    let third = cluster.create_node().clone();
    let primary = cluster.wait_settled();
    hold_on_to_standbys(primary);
    let oracles = Oracles::start(&cluster);
    let sender = wait::until("a walsender serves the third node", DEATH, || {
        let slot = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'pgautofailover_standby_3'";
        let pid = primary
            .superuser("postgres", slot)?
            .parse::<process::Pid>()
            .map_err(|error| error.to_string())?;
        // PIDs come from /proc: the one that SQL names has to be there.
        process::tree(primary.postmaster())
            .into_iter()
            .find(|found| *found == pid)
            .ok_or("no such process".to_owned())
    });
    process::signal("STOP", &[sender]);
    cluster.cli(&["enable", "maintenance", "--no-wait", "--pgdata", &third.pgdata.display().to_string()]);
    let says = "SELECT last_error FROM autoctl.state";
    primary.superuser("postgres", "CREATE EXTENSION IF NOT EXISTS pg_autoctl").expect("CREATE EXTENSION");
    wait::until("the primary says whom it waits for", FAILOVER, || {
        match primary.superuser("postgres", says) {
            Ok(said) if said.contains("the walsender of node 3 has not read the rule yet") => Ok(()),
            seen => Err(seen),
        }
    });
    let seen =
        cluster.states().expect("the monitor answers").into_iter().find(|seen| seen.name == third.name);
    assert_eq!(seen.map(|seen| seen.assigned), Some("wait_maintenance".to_owned()), "not let go yet");
    // The others go on.
    oracles.wait_for_writes();
    process::signal("CONT", &[sender]);
    cluster.wait_state(&third, "maintenance", patient(FAILOVER));
    cluster.cli(&["disable", "maintenance", "--pgdata", &third.pgdata.display().to_string()]);
    let counts = oracles.finish(&cluster);
    tell(&format!("a walsender was late to read a rule: {} rows acknowledged, 0 lost", counts.acknowledged));
}
