//! A seed is played: a cluster of its shape, load, round after round, and the history checked at the end.
use super::fault::Strike;
use super::health;
use super::history::{self, Counts, Kind};
use super::load::{self, Load, WRITERS, look_at_the_end};
use super::measure::{self, Holdings};
use super::report::{Report, TakenRound, TakenStrike};
use super::schedule::{Round, Schedule, Shape};
use super::strike::{SMALL_DISK, Scene, Struck};
use super::supervisor::Supervisor;
use crate::cluster::Cluster;
use crate::deadlines::{CREATE, DEATH, FAILOVER, REJOIN, START};
use crate::image::Image;
use crate::network::Network;
use crate::oracles::tell;
use crate::server::Server;
use crate::wait;
use crate::witness::Witness;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// When a run has seen enough.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So many faults were done.
    Faults(usize),
    /// So much time has passed.
    Time(Duration),
}

/// A disk of [`SMALL_DISK`] megabytes has room for that.
const FITTING_A_SMALL_DISK: [&str; 2] =
    ["ALTER SYSTEM SET max_wal_size = '128MB'", "ALTER SYSTEM SET min_wal_size = '64MB'"];
/// Memory that a worker of ours may hold more of in the end, in kB: generous, for what grows does not stop there.
const MORE_MEMORY_KB: u64 = 4_096;
/// The same of file descriptors.
const MORE_DESCRIPTORS: usize = 12;
/// Of a list of violations, those that are told.
const TOLD: usize = 20;

/// Plays a seed. Panics when a promise was not kept; the cluster's directory stays then.
pub fn play(seed: u64, until: Until) -> Report {
    let schedule = Schedule::of(seed);
    let shape = schedule.shape;
    tell(&format!("chaos: seed {seed}: {shape}"));
    let (cluster, images) = make(shape);
    tell(&format!("chaos: its servers are in {}", cluster.directory().display()));
    let (load, witness) = (Load::start(&cluster), Witness::start(&cluster));
    let begun = Instant::now();
    let supervisor = Supervisor::of(&cluster);
    let (before, rounds) = thread::scope(|scope| {
        supervisor.watch(scope, &cluster);
        // The supervisor must end with the rounds, also when those fail.
        let _end = Ending(&supervisor);
        let scene = Scene::new(&cluster, &supervisor, images);
        healthy(&scene, &load, begun, 0);
        let before = measure::workers(&cluster);
        (before, play_rounds(schedule, &scene, &load, until))
    });
    let lasted = begun.elapsed();
    let (after, operations) = check(&cluster, load, witness, &before);
    Report {
        seed,
        shape,
        machines: cluster.network.is_some(),
        lasted,
        rounds,
        operations,
        starts: supervisor.starts(),
        restarts_in_place: restarts_in_place(&cluster),
        before,
        after,
    }
}

/// A monitor and the nodes of a shape, settled, with all tables, and images of the nodes' disks unless their WAL has a small one of
/// its own. On machines of their own where root makes them.
fn make(shape: Shape) -> (Cluster, BTreeMap<String, Image>) {
    let mut cluster =
        if Network::is_possible() { Cluster::on_machines("chaos") } else { Cluster::empty("chaos") };
    cluster.create_monitor();
    // Its faults follow each other by design, and rounds have their time: patience is for faults that a group has of itself.
    cluster.set_on_monitor("flapping_window", "0");
    let first = cluster.create_node().clone();
    run_all(&first, &load::SETTINGS);
    first.stop();
    first.start();
    cluster.wait_state(&first, "single", START);
    while cluster.nodes.len() < shape.nodes {
        cluster.create_node();
    }
    cluster.wait_settled_within(CREATE);
    cluster.prepare_oracles();
    Load::prepare(cluster.wait_settled());
    let mut images = BTreeMap::new();
    for node in &cluster.nodes {
        run_all(node, &FITTING_A_SMALL_DISK);
        node.stop();
        if !shape.small_disks {
            images.insert(node.name.clone(), node.take_image());
        } else if cluster.network.is_some() {
            node.move_wal_to_small_disk(SMALL_DISK);
        }
        node.start();
        cluster.wait_settled_within(REJOIN);
    }
    let number = shape.number_sync_standbys;
    let asked = cluster.ask_monitor(&format!(
        "SELECT pgautofailover.set_formation_number_sync_standbys('default', {number})"
    ));
    asked.unwrap_or_else(|error| panic!("number_sync_standbys = {number}: {error}"));
    (cluster, images)
}

fn run_all(server: &Server, statements: &[&str]) {
    for sql in statements {
        server.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

fn play_rounds(schedule: Schedule, scene: &Scene, load: &Load, until: Until) -> Vec<TakenRound> {
    let begun = Instant::now();
    let (mut taken, mut faults): (Vec<TakenRound>, usize) = (Vec::new(), 0);
    for (number, round) in schedule.enumerate() {
        let enough = match until {
            Until::Faults(enough) => faults >= enough,
            Until::Time(enough) => begun.elapsed() >= enough,
        };
        if enough {
            break;
        }
        tell(&format!("{:>7.1} s  {round}", begun.elapsed().as_secs_f64()));
        let round = play_round(&round, scene, load, number + 1);
        faults += round.done().count();
        taken.push(round);
    }
    taken
}

fn play_round(round: &Round, scene: &Scene, load: &Load, number: usize) -> TakenRound {
    let begun = Instant::now();
    let strikes: Vec<TakenStrike> = thread::scope(|scope| {
        let strikes: Vec<_> =
            round.strikes.iter().map(|strike| scope.spawn(move || take(strike, scene, begun))).collect();
        strikes.into_iter().map(|strike| strike.join().expect("a fault could not be done")).collect()
    });
    let (primary, to_health) = healthy(scene, load, Instant::now(), number);
    let pause = load.longest_pause(begun, Instant::now());
    let told: Vec<String> = strikes.iter().map(TakenStrike::to_string).collect();
    tell(&format!(
        "           {}; writes paused for {} ms, healthy after {} ms, {primary} writes",
        told.join(", "),
        pause.as_millis(),
        to_health.as_millis()
    ));
    thread::sleep(round.rest);
    TakenRound { strikes, pause, to_health }
}

fn take(strike: &Strike, scene: &Scene, begun: Instant) -> TakenStrike {
    thread::sleep(strike.after.saturating_sub(begun.elapsed()));
    let (server, void) = match scene.strike(strike) {
        Struck::Done(server) => (server, None),
        Struck::Void(why) => (String::new(), Some(why)),
    };
    TakenStrike { fault: strike.fault, server, void }
}

/// Waits for health, with no hand on the group but the supervisor's. The writer's name, and how long it took.
fn healthy(scene: &Scene, load: &Load, since: Instant, mark: usize) -> (String, Duration) {
    match health::wait(scene.cluster, load, since, mark) {
        Ok((primary, took)) => {
            scene.note_primary(primary);
            (primary.name.clone(), took)
        }
        Err(seen) => panic!("{seen}\n{}", testimony(scene.cluster)),
    }
}

/// What everybody says, for the message of a failure.
fn testimony(cluster: &Cluster) -> String {
    let events = "SELECT event_id, node_name, reported_state, assigned_state, description FROM pgautofailover.last_events(30)";
    let mut said = vec![
        format!("{:?}", cluster.states()),
        cluster.ask_monitor(events).unwrap_or_else(|error| error.to_string()),
    ];
    said.extend(cluster.nodes.iter().map(|node| format!("{}:\n{}", node.name, node.log_tail())));
    said.join("\n")
}

/// The history, the witness, the logs and our workers.
fn check(
    cluster: &Cluster,
    load: Load,
    witness: Witness,
    before: &Holdings,
) -> (Holdings, BTreeMap<Kind, Counts>) {
    let (history, readings) = load.finish();
    let mut violations: Vec<String> =
        witness.finish().into_iter().map(|seen| format!("two nodes took writes: {seen}")).collect();
    let primary = cluster.wait_settled();
    let end = look_at_the_end(primary, &history);
    violations.extend(history::violations(&history, &readings, &end));
    let told = violations.iter().take(TOLD).cloned().collect::<Vec<_>>().join("\n");
    assert!(violations.is_empty(), "{} violations:\n{told}", violations.len());
    same_rows_everywhere(cluster, primary);
    for server in cluster.nodes.iter().chain([&cluster.monitor]) {
        check_log(&server.name, &server.log());
    }
    wait::until("no process is left over", DEATH, || match measure::left_over(cluster) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    });
    let after = measure::workers(cluster);
    for (name, before) in before {
        let after = after.get(name).unwrap_or_else(|| panic!("{name} has no worker of ours"));
        assert!(
            after.memory_kb <= before.memory_kb + MORE_MEMORY_KB
                && after.descriptors <= before.descriptors + MORE_DESCRIPTORS,
            "the worker on {name} held {before:?} and now holds {after:?}"
        );
    }
    let of = |kind: Kind| (kind, history::count(history.iter().filter(|work| work.kind == kind)));
    (after, WRITERS.into_iter().map(of).collect())
}

fn same_rows_everywhere(cluster: &Cluster, primary: &Server) {
    let rows = "SELECT count(*), sum(hashtextextended(chaos_row::text, 0)) FROM chaos_row";
    wait::until("all nodes hold the same rows", FAILOVER, || {
        let on = |node: &Server| node.sql(rows).map_err(|error| error.to_string());
        let here = on(primary)?;
        match cluster.nodes.iter().find(|node| on(node).as_ref() != Ok(&here)) {
            None => Ok(()),
            Some(node) => Err(format!("{} differs from {}: {:?}, {here}", node.name, primary.name, on(node))),
        }
    });
}

/// What no fault of ours explains. Backends that were killed leave much that is fatal to them, and a full disk even to the server.
fn check_log(server: &str, log: &str) {
    const ALARMING: [&str; 4] = ["panicked at", "was terminated by signal 11", "TRAP:", "PANIC:"];
    let alarming = |line: &&str| {
        ALARMING.iter().any(|text| line.contains(text)) && !line.contains("No space left on device")
    };
    if let Some(line) = log.lines().find(alarming) {
        panic!("{server} logged: {line}");
    }
}

fn restarts_in_place(cluster: &Cluster) -> usize {
    cluster.nodes.iter().map(|node| node.log().matches("restarting in place").count()).sum()
}

struct Ending<'a>(&'a Supervisor);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
