//! What our workers cost a settled pair that has nothing to do.
use super::figures::Measurement;
use crate::chaos::measure;
use crate::cluster::Cluster;
use crate::faults::Part;
use crate::process::Pid;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// What settling has caused (checkpoints, first connections) is not idleness.
const CALM: Duration = Duration::from_secs(10);

/// CPU of each worker in a minute, and its memory, `runs` minutes long.
pub fn measure(runs: usize) -> Vec<Measurement> {
    let cluster = Cluster::pair("idle");
    sleep(CALM);
    let watched = [
        ("keeper_of_primary", cluster.node(1).find(Part::Keeper)),
        ("keeper_of_secondary", cluster.node(2).find(Part::Keeper)),
        ("health_worker", measure::health_worker(&cluster)),
    ]
    .map(|(what, pid)| (what, pid.unwrap_or_else(|| panic!("there is no {what}"))));
    let mut cpu = watched.map(|_| Vec::new());
    for _ in 0..runs {
        let before = watched.map(|(_, pid)| on_cpu(pid));
        sleep(MINUTE);
        for (at, (_, pid)) in watched.into_iter().enumerate() {
            cpu[at].push((on_cpu(pid) - before[at]).as_secs_f64() * 1000.0);
        }
    }
    let mut measured = Vec::new();
    for ((what, pid), cpu) in watched.into_iter().zip(cpu) {
        measured.push(Measurement::new(format!("idle_cpu.{what}"), "ms a minute", cpu));
        let held = measure::holding(pid).unwrap_or_else(|| panic!("{what} is gone"));
        measured.push(Measurement::new(format!("pss.{what}"), "kB", vec![held.memory_kb as f64]));
    }
    measured
}

fn on_cpu(pid: Pid) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("reading schedstat");
    let nanoseconds = text.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("schedstat begins with the time on the CPU"))
}
