//! What no failover can be faster than here: the primary is killed and a standby told to promote at the same moment, with nothing of
//! ours loaded. Nobody has to notice, nobody is asked, nobody is fenced. Of one standby nothing is awaited; of two the second is told at
//! the same moment to follow the first, and commits wait for it, as with us.
use super::figures::Measurement;
use super::pauses::{CLIENT, wait_for_rows};
use crate::cluster::Cluster;
use crate::deadlines::REJOIN;
use crate::faults::Part;
use crate::ledger::Ledger;
use crate::oracles::tell;
use crate::server::{Server, text};
use crate::wait;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The pause of a paced client while a standby is promoted.
pub fn measure(standbys: usize, runs: usize) -> Vec<Measurement> {
    let name =
        if standbys == 1 { "floor.promotion".to_owned() } else { format!("floor.promotion.{standbys}") };
    let cluster = Cluster::empty("floor").with_nodes(standbys + 1);
    let (primary, others) = (cluster.node(1), &cluster.nodes[1..]);
    for node in others.iter().chain([primary]) {
        node.stop();
    }
    for standby in others {
        copy(standby, &standby.pgdata, &saved(standby));
    }
    let mut pauses = Vec::new();
    for run in 1..=runs {
        for node in &cluster.nodes {
            start_alone(node, standbys);
        }
        wait::until("the standbys stream", REJOIN, || {
            let streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
            match primary.superuser("postgres", streaming) {
                Ok(count) if count == standbys.to_string() => Ok(()),
                other => Err(other),
            }
        });
        // One for each run: rows that no standby has received yet are lost, as they are without us.
        let ledger = Ledger::start(&cluster, CLIENT);
        wait_for_rows(&ledger);
        for standby in &others[1..] {
            set_upstream(standby, primary, &others[0]);
        }
        let since = Instant::now();
        primary.kill_tree();
        promote(&others[0]);
        for standby in &others[1..] {
            standby.signal("HUP", Part::Postmaster);
        }
        wait_for_rows(&ledger);
        let pause = ledger.longest_pause(since).as_secs_f64() * 1000.0;
        tell(&format!("{name}: run {run}: pause {pause:.0} ms"));
        pauses.push(pause);
        drop(ledger);
        for standby in others {
            standby.stop();
            fs::remove_dir_all(&standby.pgdata).expect("removing what was promoted");
            copy(standby, &saved(standby), &standby.pgdata);
        }
    }
    vec![Measurement::new(name, "ms", pauses)]
}

fn saved(standby: &Server) -> PathBuf {
    standby.pgdata.with_extension("saved")
}

fn start_alone(server: &Server, standbys: usize) {
    let rule = if standbys == 1 { "" } else { "\"ANY 1 (*)\"" };
    server.start_with(&format!(
        "-c shared_preload_libraries= -c primary_slot_name= -c synchronous_standby_names={rule}"
    ));
}

/// For the next reload.
fn set_upstream(standby: &Server, before: &Server, upstream: &Server) {
    let present = standby.superuser("postgres", "SHOW primary_conninfo").expect("whom it follows");
    let place = |server: &Server| format!("host='{}' port='{}'", server.host, server.port);
    let conninfo = present.replace(&place(before), &place(upstream));
    assert_ne!(conninfo, present, "it follows somebody else");
    let quoted = conninfo.replace('\'', "''");
    standby
        .superuser("postgres", &format!("ALTER SYSTEM SET primary_conninfo = '{quoted}'"))
        .expect("a setting");
}

/// What `pg_ctl promote` does, without the time that the program needs to start.
fn promote(standby: &Server) {
    let request = standby.pgdata.join("promote");
    fs::write(&request, "").expect("asking for the promotion");
    standby.account.own(&request);
    standby.signal("USR1", Part::Postmaster);
}

fn copy(server: &Server, from: &Path, to: &Path) {
    let output = server.account.command("cp").arg("-a").arg(from).arg(to).output().expect("running cp");
    assert!(output.status.success(), "cp -a {} {}: {}", from.display(), to.display(), text(&output));
}
