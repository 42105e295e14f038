//! What the keeper costs a node that has nothing to do: CPU per minute and memory of its process, on a settled pair.
//! Run by hand (`make install`, then `target/release/idle_cost`) when docs/operations.md gets new figures; no test asserts them.
#![expect(clippy::print_stdout, reason = "its figures are its output")]

use regress::cluster::Cluster;
use regress::process::{self, Pid};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn main() {
    let cluster = Cluster::pair("idle");
    // What settling has caused (checkpoints, first connections) is not idleness.
    sleep(Duration::from_secs(10));
    let watched = [
        ("keeper on the primary", "pg_autoctl", cluster.node(1).postmaster()),
        ("keeper on the secondary", "pg_autoctl", cluster.node(2).postmaster()),
        ("health worker of the monitor", "pgautofailover", cluster.monitor.postmaster()),
    ]
    .map(|(what, title, postmaster)| (what, worker(postmaster, title)));
    let before = watched.map(|(_, pid)| on_cpu(pid));
    sleep(MINUTE);
    for ((what, pid), before) in watched.into_iter().zip(before) {
        let spent = on_cpu(pid) - before;
        println!("{what}: {:.1} ms of CPU in a minute, PSS {} kB", spent.as_secs_f64() * 1000.0, pss(pid));
    }
}

/// The child of a postmaster whose title names our worker.
fn worker(postmaster: Pid, title: &str) -> Pid {
    process::tree(postmaster)
        .into_iter()
        .skip(1)
        .find(|pid| {
            let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&cmdline).contains(title)
        })
        .unwrap_or_else(|| panic!("no process of postmaster {postmaster} is called {title}"))
}

fn on_cpu(pid: Pid) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("reading schedstat");
    let nanoseconds = text.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("schedstat begins with the time on the CPU"))
}

fn pss(pid: Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("reading smaps_rollup");
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).expect("smaps_rollup has a Pss line");
    line.split_whitespace().next().and_then(|field| field.parse().ok()).expect("a number of kB")
}
