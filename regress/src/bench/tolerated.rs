//! For how long a primary may be silent before another node takes its place.
use super::figures::Measurement;
use crate::cluster::Cluster;
use crate::deadlines::REJOIN;
use crate::network::Network;
use crate::oracles::{Oracles, tell};
use std::thread::sleep;
use std::time::Duration;

/// What makes it silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Its cable is pulled, and plugged in again.
    Link,
    /// All of its processes stand still, as on a virtual machine that is moved to another host.
    Machine,
}

const SHORTEST: Duration = Duration::from_millis(2000);
const STEP: Duration = Duration::from_millis(500);
/// Whatever follows from a silence has begun by then; and its sessions, if they stand, have recovered: the next silence is one of its own.
const AFTERMATH: Duration = Duration::from_secs(8);
/// The monitor convicts nobody in the first seconds of its life.
const STARTUP_GRACE: Duration = Duration::from_secs(6);

/// The longest silence after which the primary was still the primary; each is half a second longer than the one before, until one is too
/// long.
pub fn measure(silence: Silence, runs: usize) -> Vec<Measurement> {
    if !Network::is_possible() {
        return Vec::new();
    }
    let name = match silence {
        Silence::Link => "tolerated.silent_link",
        Silence::Machine => "tolerated.frozen_machine",
    };
    let cluster = Cluster::on_machines("silence").with_pair();
    sleep(STARTUP_GRACE);
    let oracles = Oracles::start(&cluster);
    let samples = (1..=runs).map(|run| {
        let longest = longest(silence, &cluster).as_secs_f64() * 1000.0;
        tell(&format!("{name}: run {run}: {longest:.0} ms"));
        longest
    });
    let samples = samples.collect();
    oracles.finish(&cluster);
    vec![Measurement::new(name, "ms", samples)]
}

fn longest(silence: Silence, cluster: &Cluster) -> Duration {
    let mut longest = Duration::ZERO;
    cluster.forget_failovers();
    for step in 0.. {
        let length = SHORTEST + STEP * step;
        let primary = cluster.wait_settled_within(REJOIN);
        let before = cluster.term();
        match silence {
            Silence::Link => {
                cluster.network().unplug(primary);
                sleep(length);
                cluster.network().plug(primary);
            }
            Silence::Machine => {
                primary.freeze();
                sleep(length);
                primary.thaw();
            }
        }
        sleep(AFTERMATH);
        cluster.wait_settled_within(REJOIN);
        if cluster.term() != before {
            break;
        }
        longest = length;
    }
    longest
}
