//! Every link loses one packet in twenty and delays the others, those of the clients too: nobody is replaced who lives, whoever dies is
//! replaced.
use regress::bench::lossy::NOISE;
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::network::Network;
use regress::oracles::{Oracles, tell};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SEED: u64 = 2;
/// Several leases, and several times every time-out of a connection.
const CALM: Duration = Duration::from_secs(10);

#[test]
fn only_the_dead_are_replaced() {
    if !Network::can_be_noisy() {
        return;
    }
    let cluster = Cluster::on_noisy_machines("lossy", SEED).with_pair();
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let before = cluster.term();
    let oracles = Oracles::start(&cluster);
    cluster.network().make_noise(NOISE);
    let noisy = Instant::now();
    sleep(CALM);
    tell(&format!("lossy network: longest pause in writes {} ms", oracles.longest_pause(noisy).as_millis()));
    assert_eq!(cluster.term(), before, "nobody was elected while everybody lived");

    let killed = Instant::now();
    primary.kill_tree();
    cluster.wait_writer(standby, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!(
        "lossy network, primary killed: longest pause in writes {} ms",
        oracles.longest_pause(killed).as_millis()
    ));
    // A rewind copies whole segments of WAL, which takes minutes at the pace that TCP has on such a line.
    cluster.network().heal();
    primary.start();
    assert_eq!(
        cluster.wait_settled_within(REJOIN).name,
        standby.name,
        "the one that was promoted stays the writer"
    );
    tell(&format!("{} is back as a secondary, {:.1} s in all", primary.name, killed.elapsed().as_secs_f64()));
    oracles.finish(&cluster);
}
