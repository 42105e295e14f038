//! Processes as /proc shows them. PIDs are never taken from SQL, nor processes chosen by name.
use crate::deadlines::DEATH;
use crate::wait;
use rustix::process::{WaitOptions, getpid, set_child_subreaper, waitpid};
use std::fs;
use std::process::Command;
use std::sync::Once;
use std::thread;
use std::time::Duration;

/// A process id.
pub type Pid = u32;

/// A process and all that descend from it, itself first.
pub fn tree(root: Pid) -> Vec<Pid> {
    let parents = parents();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(child, _)| *child));
        next += 1;
    }
    tree
}

/// The process exists. A zombie does not: it only waits to be counted.
pub fn is_alive(pid: Pid) -> bool {
    stat(pid).is_some_and(|seen| seen.state != 'Z')
}

/// Sends a signal, by the name that kill(1) knows, to all of them in one go.
pub fn signal(name: &str, pids: &[Pid]) {
    // The shell's own kill: no package has to be there for it. Some may have gone in the meantime, which is not an error.
    let pids: Vec<String> = pids.iter().map(Pid::to_string).collect();
    Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$@\" 2>/dev/null; exit 0", name])
        .args(&pids)
        .status()
        .expect("running sh to send a signal");
}

/// Kills a whole tree at once, as a machine that loses power would, and waits until nothing is left.
pub fn kill_tree(root: Pid) {
    let tree = tree(root);
    signal("KILL", &tree);
    wait::until("the killed processes are gone", DEATH, || {
        let left: Vec<Pid> = tree.iter().copied().filter(|pid| is_alive(*pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

/// Stops a whole tree, as a machine that stands still; those that were stopped, for whoever wakes them.
pub fn freeze_tree(root: Pid) -> Vec<Pid> {
    // The first alone at first, so that it has no further children while they are counted.
    signal("STOP", &[root]);
    let tree = tree(root);
    signal("STOP", &tree);
    tree
}

/// Takes in servers whose parents have ended, and buries them when they die. Elsewhere PID 1 does it; in a container PID 1 may be
/// a program that does not, and then a killed postmaster would stand in the way of its successor for ever.
pub fn adopt_orphans() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_child_subreaper(Some(getpid())).expect("becoming the parent of orphans");
        thread::spawn(|| {
            loop {
                bury_dead_servers();
                thread::sleep(BURIALS);
            }
        });
    });
}

const BURIALS: Duration = Duration::from_millis(50);

fn bury_dead_servers() {
    let me = std::process::id();
    // Only servers: what the harness itself has started is waited for by whoever started it, and that is never a server.
    let servers = |pid: &Pid| {
        stat(*pid).is_some_and(|seen| (seen.state, seen.parent) == ('Z', me) && seen.name == "postgres")
    };
    for pid in pids().into_iter().filter(servers) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
            // One that is gone already needs no burial.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Waits until the process table has no such PID at all: a new server refuses a directory whose lock file names a zombie.
pub fn wait_until_reaped(pid: Pid) {
    wait::until("the killed postmaster has left the process table", DEATH, || match stat(pid) {
        None => Ok(()),
        Some(seen) => Err(format!("PID {pid} in state {}", seen.state)),
    });
}

struct Stat {
    name: String,
    state: char,
    parent: Pid,
}

fn stat(pid: Pid) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, a parenthesis too.
    let (start, end) = (text.find('(')? + 1, text.rfind(')')?);
    let mut fields = text[end + 1..].split_whitespace();
    Some(Stat {
        name: text[start..end].to_owned(),
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
    })
}

/// Every process of this machine.
pub fn pids() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("reading /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn parents() -> Vec<(Pid, Pid)> {
    pids().into_iter().filter_map(|pid| Some((pid, stat(pid)?.parent))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_killed_with_its_children() {
        let mut child = Command::new("sh").args(["-c", "sleep 60 & sleep 60"]).spawn().expect("sh");
        let found = wait::until("the shell has two children", DEATH, || match tree(child.id()) {
            tree if tree.len() == 3 => Ok(tree),
            tree => Err(tree),
        });
        kill_tree(child.id());
        child.wait().expect("waiting for the shell");
        assert!(!found.into_iter().any(is_alive));
    }
}
