//! A group that a command has changed and now waits for: each move of a node is told, and silence ends the wait.
use crate::error::Result;
use crate::monitor::Monitor;
use crate::printer::Progress;
use crate::view::NodeState;
use std::time::{Duration, Instant};

/// Between two looks at the monitor.
const LOOK: Duration = Duration::from_millis(50);

/// A group under observation.
pub struct Settling<'a> {
    monitor: &'a Monitor,
    formation: String,
    group: i32,
    progress: Option<Progress>,
    /// What was seen last.
    pub seen: Vec<NodeState>,
}

impl<'a> Settling<'a> {
    /// Looks at the group as it is before anything is changed.
    pub fn of(monitor: &'a Monitor, formation: &str, group: i32) -> Result<Settling<'a>> {
        let seen = monitor.states(formation, Some(group))?;
        Ok(Settling { monitor, formation: formation.to_owned(), group, progress: None, seen })
    }

    /// The node that writes, as seen last.
    pub fn writer(&self) -> Option<&NodeState> {
        self.seen.iter().find(|node| node.writes())
    }

    /// The node of that id, as seen last.
    pub fn node(&self, id: i64) -> Option<&NodeState> {
        self.seen.iter().find(|node| node.node_id == id)
    }

    /// Waits until `reached` finds what it looks for. Nothing, when no node has moved for as long as `patience`.
    pub fn until<T>(
        &mut self,
        waiting_for: &str,
        patience: Duration,
        reached: impl Fn(&[NodeState]) -> Option<T>,
    ) -> Result<Option<T>> {
        let progress = self.progress.get_or_insert_with(|| Progress::start(waiting_for));
        progress.now(waiting_for);
        let mut moved = Instant::now();
        loop {
            let now = self.monitor.states(&self.formation, Some(self.group))?;
            if tell_changes(progress, &self.seen, &now) {
                moved = Instant::now();
            }
            self.seen = now;
            if let Some(found) = reached(&self.seen) {
                return Ok(Some(found));
            }
            if moved.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// One line for each node that has moved. Whether one has.
fn tell_changes(progress: &Progress, before: &[NodeState], now: &[NodeState]) -> bool {
    let moved = |node: &&NodeState| {
        !before.iter().any(|other| {
            other.node_id == node.node_id
                && other.current_group_state == node.current_group_state
                && other.assigned_group_state == node.assigned_group_state
        })
    };
    for node in now.iter().filter(moved) {
        progress.line(&format!(
            "{}: {}, assigned {}",
            node.nodename, node.current_group_state, node.assigned_group_state
        ));
    }
    let left: Vec<&NodeState> =
        before.iter().filter(|node| !now.iter().any(|other| other.node_id == node.node_id)).collect();
    for node in &left {
        progress.line(&format!("{} has left the group", node.nodename));
    }
    !left.is_empty() || now.iter().any(|node| moved(&node))
}
