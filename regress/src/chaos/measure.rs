//! Memory, descriptors and processes of ours, as /proc shows them.
use crate::cluster::Cluster;
use crate::faults::Part;
use crate::process::{self, Pid};
use std::collections::BTreeMap;
use std::fs;

/// What one of our workers holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Memory in kB, each shared page counted by the part that is its own (PSS).
    pub memory_kb: u64,
    /// Open file descriptors.
    pub descriptors: usize,
}

/// Holdings by worker: `node_1`, ... for the keepers, `monitor` for the monitor's health worker.
pub type Holdings = BTreeMap<String, Holding>;

/// Every worker of ours, as it is now.
pub fn workers(cluster: &Cluster) -> Holdings {
    let keepers = cluster.nodes.iter().filter_map(|node| Some((node.name.clone(), node.find(Part::Keeper)?)));
    let health = health_worker(cluster).map(|pid| (cluster.monitor.name.clone(), pid));
    keepers.chain(health).filter_map(|(name, pid)| Some((name, holding(pid)?))).collect()
}

/// The health worker of the monitor, when there is one.
pub fn health_worker(cluster: &Cluster) -> Option<Pid> {
    let tree = process::tree(cluster.monitor.running()?);
    tree.into_iter().skip(1).find(|pid| title(*pid).contains("pgautofailover"))
}

/// Processes that should not be there: below a node more than one keeper or logging collector, and elsewhere any that
/// works in the cluster's directory without belonging to a server that runs.
pub fn left_over(cluster: &Cluster) -> Vec<String> {
    let mut found = Vec::new();
    let mut known: Vec<Pid> = Vec::new();
    for server in cluster.nodes.iter().chain([&cluster.monitor]) {
        let tree = server.running().map(process::tree).unwrap_or_default();
        for what in ["pg_autoctl keeper", "logger", "checkpointer"] {
            let named = format!("postgres: {what}");
            let count = tree.iter().filter(|pid| title(**pid).starts_with(&named)).count();
            if count > 1 {
                found.push(format!("{} has {count} processes called {named}", server.name));
            }
        }
        known.extend(tree);
    }
    let strangers = process::pids().into_iter().filter(|pid| !known.contains(pid)).filter(|pid| {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(cluster.directory()))
    });
    found.extend(strangers.map(|pid| format!("PID {pid} belongs to no server that runs: {}", title(pid))));
    found
}

fn title(pid: Pid) -> String {
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&title).replace('\0', " ")
}

/// What a process holds, when it is there.
pub fn holding(pid: Pid) -> Option<Holding> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let memory_kb = pss.split_whitespace().next()?.parse().ok()?;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some(Holding { memory_kb, descriptors })
}
