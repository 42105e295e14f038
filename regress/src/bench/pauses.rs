//! How long writes stand still, and how soon there are as many copies as before.
use super::figures::Measurement;
use crate::cluster::Cluster;
use crate::deadlines::{COMMAND, DEATH, FAILOVER, REJOIN, START};
use crate::faults::Part;
use crate::ledger::{Ledger, Manner};
use crate::network::Network;
use crate::oracles::tell;
use crate::process::{self, Pid};
use crate::server::Server;
use crate::session::Session;
use crate::wait;
use crate::witness::Witness;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What ends the reign of the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGKILL to all of its processes at once.
    KillTree,
    /// SIGKILL to the postmaster alone.
    KillPostmaster,
    /// Its cable is pulled.
    SilentCut,
    /// `pg_ctl stop`, fast.
    Stop,
    /// `pg_autoctl perform switchover`.
    Switchover,
}

/// Settings of the monitor other than the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// The defaults.
    Default,
    /// For networks that lose nothing: docs/performance.md names these settings and their price.
    Impatient,
}

/// A client that writes every millisecond, turns away from a server that does not answer, and looks for the writer every 10 ms.
pub(super) const CLIENT: Manner = Manner {
    writers: 1,
    pace: Duration::from_millis(1),
    retry: Duration::from_millis(10),
    patience: Duration::from_millis(250),
};

/// On the monitor and on each node.
pub const IMPATIENT_MONITOR: [(&str, &str); 4] = [
    ("pgautofailover.lease", "1s"),
    ("pgautofailover.lease_margin", "200ms"),
    ("pgautofailover.node_considered_unhealthy_timeout", "1200ms"),
    ("pgautofailover.health_check_timeout", "500ms"),
];
/// On each node.
pub const IMPATIENT_NODE: [(&str, &str); 2] =
    [("pg_autoctl.heartbeat_period", "250ms"), ("wal_receiver_timeout", "1s")];

/// After the first sign, in their order.
const PHASES: [&str; 4] = ["convicted", "pledged", "promoted", "first_write"];

/// Then a new cluster takes over: no checkpoint comes between these failovers, so each leaves a segment of WAL on every node, and a rewind copies
/// all that its source has. With ten, that is about as many as a node keeps that is at work for long (`wal_keep_size`).
const RUNS_OF_A_CLUSTER: usize = 10;

/// Milliseconds of each run.
#[derive(Default)]
struct Samples {
    pauses: Vec<f64>,
    returns: Vec<f64>,
    phases: [Vec<f64>; PHASES.len()],
}

/// The monitor convicts nobody in the first seconds of its life.
const STARTUP_GRACE: Duration = Duration::from_secs(6);

/// Ends the reign of the primary `runs` times: the pauses, and the times until redundancy was back.
pub fn measure(end: End, standbys: usize, patience: Patience, runs: usize) -> Vec<Measurement> {
    let situation = format!(
        "{}.{standbys}_standby{}{}",
        end.name(),
        if standbys == 1 { "" } else { "s" },
        if patience == Patience::Impatient { ".impatient" } else { "" }
    );
    if end == End::SilentCut && !Network::is_possible() {
        return Vec::new();
    }
    let mut samples = Samples::default();
    while samples.pauses.len() < runs {
        let more = RUNS_OF_A_CLUSTER.min(runs - samples.pauses.len());
        play_on_a_new_cluster(end, standbys, patience, more, &situation, &mut samples);
    }
    let Samples { pauses, returns, phases } = samples;
    let by_phase = PHASES
        .iter()
        .zip(phases)
        .map(|(phase, samples)| Measurement::new(format!("phase.{situation}.{phase}"), "ms", samples));
    let pauses = Measurement::new(format!("pause.{situation}"), "ms", pauses);
    let returns = Measurement::new(format!("redundancy.{situation}"), "ms", returns);
    std::iter::once(pauses).chain(by_phase).chain([returns]).collect()
}

/// So many reigns, one after the other.
fn play_on_a_new_cluster(
    end: End,
    standbys: usize,
    patience: Patience,
    runs: usize,
    situation: &str,
    samples: &mut Samples,
) {
    let empty = if end == End::SilentCut { Cluster::on_machines("bench") } else { Cluster::empty("bench") };
    let cluster = empty.with_nodes(standbys + 1);
    if patience == Patience::Impatient {
        set(&cluster.monitor, &IMPATIENT_MONITOR);
        cluster.nodes.iter().for_each(|node| set(node, &IMPATIENT_NODE));
    }
    sleep(STARTUP_GRACE);
    let ledger = Ledger::start(&cluster, CLIENT);
    // Only where seconds are measured: it asks every node all the time.
    let witness = (end == End::SilentCut).then(|| Witness::start(&cluster));
    for _ in 0..runs {
        let (pause, back) = play(end, &cluster, &ledger);
        let took = phases_of_the_last(&cluster);
        tell(&format!(
            "{situation}: run {}: pause {pause:.0} ms, by phase {took:.0?}, as many copies as before after {back:.0} ms",
            samples.pauses.len() + 1
        ));
        samples.pauses.push(pause);
        samples.returns.push(back);
        samples.phases.iter_mut().zip(took).for_each(|(phase, sample)| phase.push(sample));
    }
    let violations = witness.map(Witness::finish).unwrap_or_default();
    assert!(violations.is_empty(), "two nodes took writes: {violations:?}");
    let lost = ledger.finish(cluster.wait_settled());
    assert!(lost.is_empty(), "acknowledged rows are lost: {lost:?}");
}

/// How long each phase took, as the monitor tells of the last failover.
fn phases_of_the_last(cluster: &Cluster) -> [f64; PHASES.len()] {
    let columns = PHASES.map(|phase| format!("{phase}_ms")).join(", ");
    let asked = format!("SELECT {columns} FROM pgautofailover.timing(count => 1)");
    wait::until("the last failover is told to its end", COMMAND, || {
        let row = cluster.ask_monitor(&asked).map_err(|error| error.to_string())?;
        let figures: Vec<f64> = row.split('|').filter_map(|figure| figure.parse().ok()).collect();
        <[f64; PHASES.len()]>::try_from(figures).map_err(|_| row)
    })
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::KillTree => "kill_tree",
            End::KillPostmaster => "kill_postmaster",
            End::SilentCut => "silent_cut",
            End::Stop => "stop",
            End::Switchover => "switchover",
        }
    }
}

/// Milliseconds without an acknowledged write, and from the beginning of the old node's return (of the switchover) to its end.
fn play(end: End, cluster: &Cluster, ledger: &Ledger) -> (f64, f64) {
    let primary = cluster.wait_settled_within(REJOIN);
    cluster.forget_failovers();
    let monitor = Session::open(&cluster.monitor_config()).expect("the monitor answers");
    wait_for_rows(ledger);
    let (since, failed) = (Instant::now(), ledger.unknown());
    let tree = strike(end, cluster, primary);
    // Nobody is asked during the pause: looking costs the machine something, too.
    wait::until("a write fails", FAILOVER, || match ledger.unknown() {
        now if now > failed => Ok(()),
        now => Err(now),
    });
    wait_for_rows(ledger);
    let pause = ledger.longest_pause(since);
    wait::until("another node writes", FAILOVER, || {
        let states = cluster.states_by(&monitor).map_err(|error| error.to_string())?;
        let writes = ["primary", "wait_primary"];
        let other = states.iter().any(|seen| {
            seen.name != primary.name
                && seen.reported == seen.assigned
                && writes.contains(&seen.reported.as_str())
        });
        if other { Ok(()) } else { Err(format!("{states:?}")) }
    });
    let since = if end == End::Switchover { since } else { Instant::now() };
    come_back(end, cluster, primary, &tree);
    cluster.wait_settled_within(REJOIN);
    (milliseconds(pause), milliseconds(since.elapsed()))
}

/// The processes that will be gone, or should be.
fn strike(end: End, cluster: &Cluster, primary: &Server) -> Vec<Pid> {
    let tree = process::tree(primary.postmaster());
    match end {
        End::KillTree => primary.kill_tree(),
        End::KillPostmaster => {
            primary.signal("KILL", Part::Postmaster);
        }
        End::SilentCut => cluster.network().unplug(primary),
        End::Stop => primary.stop(),
        End::Switchover => {
            let asked = "SELECT pgautofailover.perform_failover(formation_id => 'default', group_id => 0)";
            cluster.ask_monitor(asked).unwrap_or_else(|error| panic!("perform_failover: {error}"));
        }
    }
    tree
}

fn come_back(end: End, cluster: &Cluster, primary: &Server, tree: &[Pid]) {
    match end {
        End::Switchover => {}
        End::SilentCut => cluster.network().plug(primary),
        End::KillTree | End::KillPostmaster | End::Stop => {
            wait::until("what the old primary has left is gone", DEATH, || {
                match tree.iter().copied().find(|pid| process::is_alive(*pid)) {
                    None => Ok(()),
                    Some(pid) => Err(pid),
                }
            });
            primary.start();
        }
    }
}

pub(super) fn wait_for_rows(ledger: &Ledger) {
    let before = ledger.acknowledged();
    wait::until("rows are acknowledged", START, || match ledger.acknowledged() {
        now if now > before + CLIENT.writers => Ok(()),
        now => Err(now),
    });
}

fn set(server: &Server, settings: &[(&str, &str)]) {
    for (name, value) in settings {
        let sql = format!("ALTER SYSTEM SET {name} = '{value}'");
        server.superuser("postgres", &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    server.superuser("postgres", "SELECT pg_reload_conf()").unwrap_or_else(|error| panic!("reload: {error}"));
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
