//! The monitor is started from a copy of an earlier time. What it was told since is missing there; its nodes know, and it asks all of them.
use crate::old_image::never_writes;
use crate::ways_out::{operate, wait_explained};
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::image::Image;
use regress::oracles::{Oracles, tell};
use regress::server::Server;
use regress::wait;
use std::fs;
use std::time::{Duration, Instant};

/// By then a monitor that believes its copy has convicted whoever is silent, and has somebody promoted.
const WATCH: Duration = Duration::from_secs(7);
/// No application notices what is shorter.
const NO_PAUSE: Duration = Duration::from_millis(1000);

const NOT_OURS: &str = "is not the one that this node belongs to";

/// Its data directory as it is now, as a backup has it.
fn backup(cluster: &Cluster) -> Image {
    copy(cluster, Server::take_backup)
}

/// The same with what is beside it: the disk of the whole machine.
fn snapshot(cluster: &Cluster) -> Image {
    copy(cluster, Server::take_image)
}

fn copy(cluster: &Cluster, take: impl Fn(&Server) -> Image) -> Image {
    cluster.monitor.stop();
    let image = take(&cluster.monitor);
    cluster.monitor.start();
    image
}

fn put_back(cluster: &Cluster, image: &Image) {
    cluster.monitor.stop();
    cluster.monitor.restore(image);
    cluster.monitor.start();
}

/// The notes beside its data directory, as they are on a machine where it never was.
fn forget_notes(monitor: &Server) {
    for entry in fs::read_dir(monitor.state_dir()).expect("what is beside the monitor's data").flatten() {
        if entry.file_name().to_string_lossy().starts_with("group.") {
            fs::remove_file(entry.path()).expect("removing a note");
        }
    }
}

/// A pair whose monitor convicts early, also after its own start.
fn pair(name: &str) -> Cluster {
    let cluster = Cluster::pair(name);
    cluster.set_on_monitor("startup_grace_period", "1s");
    cluster
}

/// Waits until the monitor has gone on from what its nodes told, and this one is its settled primary.
fn wait_resumed(cluster: &Cluster, primary: &Server) {
    let resumed =
        "SELECT count(*) > 0 FROM pgautofailover.event WHERE rule = 'go on from what the nodes tell'";
    wait::until("the restored monitor has heard from its nodes", REJOIN, || {
        let gone_on = cluster.ask_monitor(resumed).map_err(|error| error.to_string())?;
        let seen = cluster.settled_primary()?;
        if gone_on == "t" && seen.name == primary.name {
            Ok(())
        } else {
            Err(format!("gone on: {gone_on}, primary {}", seen.name))
        }
    });
}

/// The operator's word that the monitor at the node's present address is the one to obey.
fn obey(cluster: &Cluster, node: &Server) {
    let place =
        format!("postgres://autoctl_node@{}:{}/pg_auto_failover", cluster.monitor.host, cluster.monitor.port);
    cluster.cli(&[
        "config",
        "set",
        "pg_autoctl.monitor",
        &place,
        "--pgdata",
        node.pgdata.to_str().expect("a plain path"),
    ]);
}

#[test]
fn a_failover_has_happened_since() {
    let cluster = pair("restored");
    let former = cluster.wait_settled().clone();
    let primary = cluster.other(&former).clone();
    let (whole_disk, backup_of_it) = (snapshot(&cluster), backup(&cluster));
    cluster.wait_settled_within(REJOIN);
    let oracles = Oracles::start(&cluster);
    former.kill_tree();
    cluster.wait_state(&primary, "wait_primary", FAILOVER);
    former.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);

    // Its own files say that the copy is old, or else the nodes do.
    for (copy, which) in [(&whole_disk, "its whole disk"), (&backup_of_it, "its data directory")] {
        let began = Instant::now();
        put_back(&cluster, copy);
        wait_resumed(&cluster, &primary);
        let took = began.elapsed().as_millis();
        oracles.wait_for_writes();
        let pause = oracles.longest_pause(began);
        tell(&format!(
            "the monitor with {which} put back: settled after {took} ms, longest pause in writes {} ms",
            pause.as_millis()
        ));
        assert!(pause < NO_PAUSE, "a pause of {} ms", pause.as_millis());
    }

    // Put back where nothing tells what stood there before: it is for an operator to say that it is the one.
    assert!(!primary.log().contains(NOT_OURS), "the same monitor, in its place");
    cluster.monitor.stop();
    cluster.monitor.restore(&backup_of_it);
    forget_notes(&cluster.monitor);
    cluster.monitor.start();
    wait::until("the nodes do not obey it", FAILOVER, || {
        if primary.log().contains(NOT_OURS) { Ok(()) } else { Err(primary.log_tail()) }
    });
    cluster.nodes.iter().for_each(|node| obey(&cluster, node));
    wait_resumed(&cluster, &primary);

    // The copy says that the former primary writes. The present one does not come back.
    cluster.monitor.stop();
    primary.kill_tree();
    cluster.monitor.restore(&backup_of_it);
    cluster.monitor.start();
    wait_explained(&cluster, "node 2 to report to this monitor, which may know less than its nodes");
    never_writes(&former, WATCH);
    let (code, said) = operate(&cluster, &["drop", "node", "--force", "--name", &primary.name]);
    assert_eq!(code, Some(0), "{said}");
    oracles.wait_for_writes();
    let counts = oracles.finish_on(&cluster, &former);
    tell(&format!("the monitor was put back four times: {} rows acknowledged, 0 lost", counts.acknowledged));
}

/// The primary has written alone since, and the copy says that its standby has everything.
#[test]
fn a_standby_was_lost_since() {
    let cluster = pair("restoredlost");
    let primary = cluster.wait_settled().clone();
    let standby = cluster.other(&primary).clone();
    let copy = backup(&cluster);
    cluster.wait_settled_within(REJOIN);
    let oracles = Oracles::start(&cluster);
    standby.kill_tree();
    cluster.wait_state(&primary, "wait_primary", FAILOVER);
    oracles.wait_for_writes();
    cluster.monitor.stop();
    primary.kill_tree();
    cluster.monitor.restore(&copy);
    standby.start();
    cluster.monitor.start();
    wait_explained(&cluster, "node 1 to report to this monitor, which may know less than its nodes");
    never_writes(&standby, WATCH);
    primary.start();
    wait_resumed(&cluster, &primary);
    let counts = oracles.finish(&cluster);
    tell(&format!(
        "restored to before a standby was lost: {} rows acknowledged, 0 lost",
        counts.acknowledged
    ));
}
