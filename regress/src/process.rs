//! Processes as /proc shows them. PIDs are never taken from SQL, nor processes chosen by name.
use crate::deadlines::DEATH;
use crate::wait;
use std::fs;
use std::process::Command;

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
    stat(pid).is_some_and(|(state, _)| state != 'Z')
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

/// Waits until the process table has no such PID at all: a new server refuses a directory whose lock file names a zombie.
pub fn wait_until_reaped(pid: Pid) {
    wait::until("PID 1 has reaped the killed postmaster", DEATH, || match stat(pid) {
        None => Ok(()),
        Some((state, _)) => Err(format!("PID {pid} in state {state}")),
    });
}

/// State letter and parent of a process.
fn stat(pid: Pid) -> Option<(char, Pid)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, a parenthesis too.
    let mut fields = text[text.rfind(')')? + 1..].split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn parents() -> Vec<(Pid, Pid)> {
    let entries = fs::read_dir("/proc").expect("reading /proc");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.1)))
        .collect()
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
