//! The monitor is stopped for a minute, under load.
use regress::cluster::Cluster;
use regress::oracles::{Oracles, tell};
use std::thread::sleep;
use std::time::{Duration, Instant};

const AWAY: Duration = Duration::from_secs(60);
/// After its return: long enough for a hasty monitor to convict somebody.
const WATCH: Duration = Duration::from_secs(15);

#[test]
fn writes_go_on_and_no_failover_follows() {
    let cluster = Cluster::pair("away");
    let oracles = Oracles::start(&cluster);
    let primary = cluster.wait_settled();
    let timeline = "SELECT timeline_id FROM pg_control_checkpoint()";
    let before = primary.superuser("postgres", timeline).expect("asking for the timeline");

    let gone = Instant::now();
    cluster.monitor.stop();
    sleep(AWAY);
    oracles.wait_for_writes();
    let pause = oracles.longest_pause(gone);
    tell(&format!("monitor away for {} s: longest pause in writes {} ms", AWAY.as_secs(), pause.as_millis()));
    assert!(pause < Duration::from_secs(5), "writes stood still for {pause:?}");

    cluster.monitor.start();
    sleep(WATCH);
    assert_eq!(cluster.wait_settled().name, primary.name, "no failover");
    primary.superuser("postgres", "CHECKPOINT").expect("checkpoint");
    assert_eq!(
        primary.superuser("postgres", timeline).expect("asking for the timeline"),
        before,
        "no promotion"
    );
    oracles.finish(&cluster);
}
