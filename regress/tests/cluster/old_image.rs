//! The disk of a node is replaced by an image of an earlier time, as somebody does who goes back to a snapshot: what it has
//! acknowledged since is missing there.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::image::Image;
use regress::oracles::{Oracles, tell};
use regress::server::{Server, text};
use regress::wait;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// An election that is possible takes a fraction of this.
const WATCH: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

/// An image of the node's disk. It has been started since, and is settled again.
fn image_of(cluster: &Cluster, node: &Server) -> Image {
    node.stop();
    let image = node.take_image();
    node.start();
    cluster.wait_settled_within(REJOIN);
    image
}

/// Waits until the monitor has found it out, and says so; what it tells of the node.
fn wait_until_found_out(cluster: &Cluster, node: &Server) -> String {
    let sql =
        format!("SELECT note FROM pgautofailover.node WHERE is_old_image AND nodename = '{}'", node.name);
    wait::until("the monitor has found out the old image", FAILOVER, || {
        let note = cluster.ask_monitor(&sql).map_err(|error| error.to_string())?;
        if note.is_empty() { Err("it believes the node".to_owned()) } else { Ok(note) }
    })
}

fn found_out(cluster: &Cluster) -> usize {
    let sql = "SELECT count(*) FROM pgautofailover.event WHERE description LIKE '%disk of an earlier time%start number%'";
    cluster.ask_monitor(sql).expect("the monitor's events").parse().expect("a number")
}

fn beside(node: &Server, suffix: &str) -> PathBuf {
    let mut name = node.pgdata.clone().into_os_string();
    name.push(suffix);
    name.into()
}

/// In place of what is there, everybody's files remaining theirs.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("removing a copy");
    }
    let output = Command::new("cp").arg("-a").arg(from).arg(to).output().expect("running cp");
    assert!(output.status.success(), "{}", text(&output));
}

/// Watches the node for that long.
pub fn never_writes(node: &Server, watch: Duration) {
    let began = Instant::now();
    while began.elapsed() < watch {
        if let Ok(standby) = node.superuser("postgres", "SELECT pg_is_in_recovery()") {
            assert_eq!(standby, "t", "{} was promoted after {:?}", node.name, began.elapsed());
        }
        sleep(LOOK);
    }
}

#[test]
fn a_standby_of_an_earlier_time_is_not_elected() {
    let cluster = Cluster::pair("oldstandby");
    let primary = cluster.wait_settled().clone();
    let standby = cluster.other(&primary).clone();
    let image = image_of(&cluster, &standby);
    assert_eq!(found_out(&cluster), 0, "starts that were counted one after the other are no old image");
    let oracles = Oracles::start(&cluster);

    // While the primary is there, it catches up and counts again. What is beside PGDATA is of today: backups leave it out.
    standby.kill_tree();
    let today = beside(&standby, ".today");
    copy(&standby.state_dir(), &today);
    standby.restore(&image);
    copy(&today, &standby.state_dir());
    standby.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    assert_eq!(found_out(&cluster), 1);
    oracles.wait_for_writes();

    // And now there is nobody else. What was acknowledged is on the primary's disk alone.
    // Both at the same moment: a standby that loses its primary is promoted within milliseconds, and a primary that loses its standby
    // goes on alone.
    primary.freeze();
    standby.freeze();
    primary.kill_tree();
    standby.kill_tree();
    standby.restore(&image);
    standby.start();
    let note = wait_until_found_out(&cluster, &standby);
    assert!(note.contains("no candidate until it has caught up"), "{note}");
    never_writes(&standby, WATCH);
    primary.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    assert_eq!(found_out(&cluster), 2);
    let counts = oracles.finish(&cluster);
    tell(&format!("a standby's old image: {} rows acknowledged, 0 lost", counts.acknowledged));

    // Whole again, it is a candidate as any other.
    primary.kill_tree();
    cluster.wait_state(&standby, "wait_primary", FAILOVER);
}

#[test]
fn a_primary_of_an_earlier_time_never_writes_by_it() {
    let cluster = Cluster::pair("oldprimary");
    let primary = cluster.wait_settled().clone();
    let standby = cluster.other(&primary).clone();
    // Its own stop would be a hand-over, with a monitor.
    cluster.monitor.stop();
    primary.stop();
    let image = primary.take_image();
    primary.start();
    cluster.monitor.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    let oracles = Oracles::start(&cluster);

    // Within its own reign: nobody was elected meanwhile.
    cluster.monitor.stop();
    primary.kill_tree();
    primary.restore(&image);
    primary.start();
    cluster.monitor.start();
    oracles.wait_for_writes();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    assert_eq!(found_out(&cluster), 1);

    // After a failover: the image says primary, and remembers a term that is over.
    primary.kill_tree();
    primary.restore(&image);
    primary.start();
    never_writes(&primary, WATCH);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    assert_eq!(found_out(&cluster), 2);
    let counts = oracles.finish(&cluster);
    tell(&format!("a primary's old image: {} rows acknowledged, 0 lost", counts.acknowledged));
}
