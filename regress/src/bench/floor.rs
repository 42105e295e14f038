//! What no failover can be faster than here: the primary is killed and its standby told to promote at the same moment, with nothing of
//! ours loaded. Nobody has to notice, nobody is asked, nobody is fenced, and commits wait for no standby.
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
use std::path::Path;
use std::time::Instant;

/// The pause of a paced client while a standby is promoted.
pub fn measure(runs: usize) -> Vec<Measurement> {
    let cluster = Cluster::pair("floor");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    for node in [standby, primary] {
        node.stop();
    }
    let saved = primary.pgdata.with_file_name("saved");
    copy(standby, &standby.pgdata, &saved);
    let mut pauses = Vec::new();
    for run in 1..=runs {
        start_alone(primary);
        start_alone(standby);
        wait::until("the standby streams", REJOIN, || {
            let streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
            match primary.superuser("postgres", streaming) {
                Ok(count) if count == "1" => Ok(()),
                other => Err(other),
            }
        });
        // One for each run: rows that the standby has not received yet are lost, as they are without us.
        let ledger = Ledger::start(&cluster, CLIENT);
        wait_for_rows(&ledger);
        let since = Instant::now();
        primary.kill_tree();
        promote(standby);
        wait_for_rows(&ledger);
        let pause = ledger.longest_pause(since).as_secs_f64() * 1000.0;
        tell(&format!("floor.promotion: run {run}: pause {pause:.0} ms"));
        pauses.push(pause);
        drop(ledger);
        standby.stop();
        fs::remove_dir_all(&standby.pgdata).expect("removing what was promoted");
        copy(standby, &saved, &standby.pgdata);
    }
    vec![Measurement::new("floor.promotion", "ms", pauses)]
}

fn start_alone(server: &Server) {
    server.start_with("-c shared_preload_libraries= -c synchronous_standby_names=");
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
