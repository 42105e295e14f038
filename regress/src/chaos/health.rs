//! When a group counts as healthy: not by what one says, but by what all of them do.
use super::load::Load;
use crate::cluster::Cluster;
use crate::deadlines::patient;
use crate::server::Server;
use std::thread::sleep;
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(100);

/// How long a group may take after the last fault, with no hand on it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Waits until every server runs, the monitor shows one primary and only secondaries beside it, the application writes, and a row
/// written now is read on each node. The primary, and how long that took from `since`.
pub fn wait<'c>(
    cluster: &'c Cluster,
    load: &Load,
    since: Instant,
    mark: usize,
) -> Result<(&'c Server, Duration), String> {
    let mut marked = false;
    loop {
        match look(cluster, load, since, mark, &mut marked) {
            Ok(primary) => return Ok((primary, since.elapsed())),
            Err(seen) if since.elapsed() > patient(LIMIT) => {
                return Err(format!(
                    "not healthy {} s after the last fault: {seen}",
                    since.elapsed().as_secs()
                ));
            }
            Err(_) => sleep(STEP),
        }
    }
}

fn look<'c>(
    cluster: &'c Cluster,
    load: &Load,
    since: Instant,
    mark: usize,
    marked: &mut bool,
) -> Result<&'c Server, String> {
    for server in cluster.nodes.iter().chain([&cluster.monitor]) {
        server.running().ok_or_else(|| format!("{} is down", server.name))?;
    }
    let primary = cluster.settled_primary()?;
    if !load.writes_since(since) {
        return Err("the application does not write".to_owned());
    }
    if !*marked {
        let insert = format!("INSERT INTO chaos_mark VALUES ({mark})");
        primary.sql(&insert).map_err(|error| format!("{} takes no row: {error}", primary.name))?;
        *marked = true;
    }
    for node in &cluster.nodes {
        let there = node.sql(&format!("SELECT count(*) FROM chaos_mark WHERE number = {mark}"));
        match there.as_deref() {
            Ok("1") => {}
            Ok(_) => return Err(format!("{} has not got the last row yet", node.name)),
            Err(error) => return Err(format!("{} cannot be read: {error}", node.name)),
        }
    }
    Ok(primary)
}
