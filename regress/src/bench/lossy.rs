//! What becomes of a group while every link loses packets and delays the others: nothing should.
use super::figures::Measurement;
use crate::cluster::Cluster;
use crate::deadlines::WRITE;
use crate::ledger::Manner;
use crate::network::{Network, Noise};
use crate::oracles::{Oracles, tell};
use crate::server::Server;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a lossy network is here; `docs/performance.md` promises that the defaults stand it.
pub const NOISE: Noise = Noise { loss_percent: 5, jitter: Duration::from_millis(50) };
/// A rough one, for which there are the patient settings.
const ROUGH: Noise = Noise { loss_percent: 10, jitter: Duration::from_millis(100) };

/// For rough networks and for machines that stand still for seconds: `docs/performance.md` names these settings and their price. On the
/// monitor and on each node.
pub const PATIENT_MONITOR: [(&str, &str); 6] = [
    ("pgautofailover.lease", "15s"),
    ("pgautofailover.lease_margin", "2s"),
    ("pgautofailover.node_considered_unhealthy_timeout", "20s"),
    ("pgautofailover.stall_timeout", "30s"),
    ("pgautofailover.health_check_timeout", "5s"),
    ("pgautofailover.crash_recovery_grace", "60s"),
];
/// On each node.
pub const PATIENT_NODE: [(&str, &str); 3] =
    [("pg_autoctl.heartbeat_period", "2s"), ("wal_receiver_timeout", "20s"), ("wal_sender_timeout", "20s")];

/// A network, and who has to live with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// [`NOISE`], and the defaults.
    Lossy,
    /// Twice that, and the patient settings.
    Rough,
}
const SEED: u64 = 1;
const NODES: usize = 3;
/// An application that waits for its answers.
const CLIENT: Manner = Manner {
    writers: 3,
    pace: Duration::from_millis(100),
    retry: Duration::from_millis(100),
    patience: WRITE,
};
const MINUTE: Duration = Duration::from_secs(60);

/// So many minutes of it on every link of a primary with two standbys, its monitor and its clients.
pub fn measure(trial: Trial, minutes: usize) -> Vec<Measurement> {
    if !Network::can_be_noisy() {
        return Vec::new();
    }
    let (name, noise) = match trial {
        Trial::Lossy => ("lossy_network", NOISE),
        Trial::Rough => ("rough_network", ROUGH),
    };
    let cluster = Cluster::on_noisy_machines("lossy", SEED).with_nodes(NODES);
    set(&cluster.monitor, &[("log_connections", "on")]);
    if trial == Trial::Rough {
        set(&cluster.monitor, &PATIENT_MONITOR);
        cluster.nodes.iter().for_each(|node| set(node, &PATIENT_NODE));
    }
    let oracles = Oracles::start_with(&cluster, CLIENT);
    cluster.network().make_noise(noise);
    let before = Counts::of(&cluster);
    let mut pauses = Vec::new();
    for minute in 1..=minutes {
        let begun = Instant::now();
        sleep(MINUTE);
        let pause = oracles.longest_pause(begun).as_secs_f64() * 1000.0;
        pauses.push(pause);
        let counts = Counts::of(&cluster).since(&before);
        tell(&format!(
            "{name}: minute {minute}: longest pause {pause:.0} ms, {} rows; so far {counts:?}",
            oracles.acknowledged()
        ));
    }
    let counts = Counts::of(&cluster).since(&before);
    tell(&format!("{name}: what the monitor has said:\n{}", said(&cluster, before.last_event)));
    cluster.network().heal();
    let rows = oracles.finish(&cluster);
    let once =
        |what: &str, unit, count: i64| Measurement::new(format!("{name}.{what}"), unit, vec![count as f64]);
    vec![
        Measurement::new(format!("{name}.failovers"), "count", vec![counts.terms as f64]),
        Measurement::new(format!("{name}.pause"), "ms", pauses),
        once("sessions_lost", "count", counts.sessions),
        once("receivers_restarted", "count", counts.receivers),
        once("rules_changed", "count", counts.rules),
        once("bad_health", "count", counts.bad_health),
        once("rows", "rows", rows.acknowledged as i64),
        once("rows_unanswered", "rows", rows.unknown as i64),
    ]
}

/// What has happened so far.
#[derive(Debug)]
struct Counts {
    /// Terms that were opened, one for each election.
    terms: u64,
    /// Sessions that keepers have opened with the monitor.
    sessions: i64,
    /// Receivers of the standbys that have begun to stream.
    receivers: i64,
    /// Rules that were given: standbys that commits wait for no longer, or again.
    rules: i64,
    /// How often the monitor has called a node's health bad.
    bad_health: i64,
    last_event: i64,
}

impl Counts {
    fn of(cluster: &Cluster) -> Counts {
        let number = |sql: &str| -> i64 {
            let answer = ask(&cluster.monitor, "pg_auto_failover", sql);
            answer.parse().unwrap_or_else(|_| panic!("{sql}: {answer}"))
        };
        let events =
            |which: &str| number(&format!("SELECT count(*) FROM pgautofailover.event WHERE {which}"));
        let lines = |server: &Server, text: &str| {
            i64::try_from(server.log().lines().filter(|line| line.contains(text)).count()).expect("few lines")
        };
        Counts {
            terms: cluster.term(),
            sessions: lines(&cluster.monitor, "connection authorized: user=autoctl_node"),
            receivers: cluster
                .nodes
                .iter()
                .map(|node| lines(node, "started streaming WAL from primary"))
                .sum(),
            rules: events("rule = 'the rule is in force'"),
            bad_health: events("description LIKE '% has bad health now: %'"),
            last_event: number("SELECT coalesce(max(eventid), 0) FROM pgautofailover.event"),
        }
    }

    fn since(self, before: &Counts) -> Counts {
        Counts {
            terms: self.terms - before.terms,
            sessions: self.sessions - before.sessions,
            receivers: self.receivers - before.receivers,
            rules: self.rules - before.rules,
            bad_health: self.bad_health - before.bad_health,
            last_event: self.last_event - before.last_event,
        }
    }
}

fn said(cluster: &Cluster, after: i64) -> String {
    let events = format!(
        "SELECT to_char(eventtime, 'HH24:MI:SS.MS'), description FROM pgautofailover.event WHERE eventid > {after} ORDER BY eventid"
    );
    ask(&cluster.monitor, "pg_auto_failover", &events)
}

fn ask(server: &Server, database: &str, sql: &str) -> String {
    server.superuser(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn set(server: &Server, settings: &[(&str, &str)]) {
    for (name, value) in settings {
        ask(server, "postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"));
    }
    ask(server, "postgres", "SELECT pg_reload_conf()");
}
