//! What a monitor carries: heartbeats in which nothing changes, of many nodes at once.
//!
//! The nodes are simulated: lone ones, each in a formation of its own, that report what a keeper would. Their servers are addresses at which
//! nobody listens, so the health worker's probes are refused; their sessions stand, so nobody is convicted.
use super::figures::Measurement;
use crate::chaos::measure::holding;
use crate::cluster::Cluster;
use crate::deadlines::{STATEMENT, patient};
use crate::server::Server;
use crate::session::Session;
use crate::wait;
use fsm::message::{Assignment, Report};
use fsm::state::State;
use fsm::units::{Lsn, NodeId, Timeline};
use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};
use tokio_postgres::Statement;

const THREADS: usize = 8;
/// How often each node reports when it keeps the usual pace twice over.
const PERIOD: Duration = Duration::from_millis(500);
const LASTING: Duration = Duration::from_secs(10);
/// After the last change PostgreSQL notes a snapshot of its transactions once, within 25 s (bgwriter.c: LOG_SNAPSHOT_INTERVAL_MS, HIBERNATE_FACTOR).
const STILL: Duration = Duration::from_secs(30);
const STANDS_STILL: Duration = Duration::from_secs(120);
/// Each look is a connection.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// So many nodes: heartbeats a second as fast as they go over eight sessions; then, with a session for each node as keepers have,
/// the latency at two a second from each, and memory. And the WAL that all of it wrote.
pub fn measure(nodes: usize) -> Vec<Measurement> {
    let mut cluster = Cluster::empty("heartbeats");
    cluster.create_monitor_of_told_nodes();
    let reports = register(&cluster, nodes);
    // What registration has left to vacuum, to prune and to analyze is written by PostgreSQL, at a time of its own.
    for sql in ["ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()", "VACUUM"] {
        cluster.monitor.superuser("pg_auto_failover", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let few = crowd(&cluster, &reports, nodes.div_ceil(THREADS));
    wait_for_still_wal(&cluster.monitor);
    let before = wal(&cluster.monitor);
    let begun = Instant::now();
    let fast: usize = play(&few, as_fast_as_it_goes).into_iter().sum();
    let a_second = fast as f64 / begun.elapsed().as_secs_f64();
    let mut written = wal(&cluster.monitor) - before;
    drop(few);
    // The sessions are new, which is news.
    let many = crowd(&cluster, &reports, 1);
    wait_for_still_wal(&cluster.monitor);
    let before = wal(&cluster.monitor);
    let paced = play(&many, at_its_pace);
    written += wal(&cluster.monitor) - before;
    let latencies: Vec<f64> = paced.into_iter().flatten().map(|time| time.as_secs_f64() * 1000.0).collect();
    let memory = many.iter().flatten().map(|speaker| {
        let pid = speaker.session.backend().expect("the monitor answers").parse().expect("a PID");
        holding(pid).expect("the backend lives").memory_kb as f64
    });
    let memory = memory.collect();
    vec![
        Measurement::new(format!("heartbeats.{nodes}_nodes.throughput"), "heartbeats/s", vec![a_second]),
        Measurement::new(format!("heartbeats.{nodes}_nodes.latency"), "ms", latencies),
        Measurement::new(format!("heartbeats.{nodes}_nodes.wal"), "bytes", vec![written]),
        Measurement::new(format!("heartbeats.{nodes}_nodes.pss_of_a_session"), "kB", memory),
    ]
}

fn wal(monitor: &Server) -> f64 {
    let position = "SELECT pg_current_wal_insert_lsn() - '0/0'";
    monitor.superuser("postgres", position).ok().and_then(|text| text.parse().ok()).expect("a position")
}

fn wait_for_still_wal(monitor: &Server) {
    let seen = Cell::new((wal(monitor), Instant::now()));
    wait::until("the monitor writes no WAL", STANDS_STILL, || {
        thread::sleep(LOOK_AGAIN);
        let now = wal(monitor);
        if now > seen.get().0 {
            seen.set((now, Instant::now()));
        }
        let (position, since) = seen.get();
        if since.elapsed() >= STILL { Ok(()) } else { Err(position) }
    });
}

/// A session with the monitor that speaks for some of the nodes.
struct Speaker {
    session: Session,
    ask: Statement,
    reports: Vec<Report>,
}

/// What every node reports once it has come to rest.
fn register(cluster: &Cluster, nodes: usize) -> Vec<Report> {
    let registrar = Speaker::new(cluster, &[]);
    (0..nodes).map(|node| registrar.register(node)).collect()
}

/// Speakers for all nodes, each for so many of them, dealt out to the threads that play them.
fn crowd(cluster: &Cluster, reports: &[Report], each: usize) -> Vec<Vec<Speaker>> {
    let mut crowd: Vec<Vec<Speaker>> = (0..THREADS).map(|_| Vec::new()).collect();
    for (at, reports) in reports.chunks(each).enumerate() {
        crowd[at % THREADS].push(Speaker::new(cluster, reports));
    }
    crowd.retain(|speakers| !speakers.is_empty());
    // An answer stands until something changes in its group: here, that another session speaks for its node.
    play(&crowd, |speakers| {
        for speaker in speakers {
            speaker.reports.iter().for_each(|report| drop(speaker.report(report)));
        }
    });
    crowd
}

/// All at once, each thread with its speakers.
fn play<T: Send>(crowd: &[Vec<Speaker>], work: impl Fn(&[Speaker]) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = crowd.iter().map(|speakers| scope.spawn(move || work(speakers))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a speaker panicked")).collect()
    })
}

fn as_fast_as_it_goes(speakers: &[Speaker]) -> usize {
    let texts = texts(speakers);
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < LASTING {
        for (speaker, text) in &texts {
            speaker.beat(text);
            sent += 1;
        }
    }
    sent
}

/// Twice a second from each node; how long each answer took.
fn at_its_pace(speakers: &[Speaker]) -> Vec<Duration> {
    let texts = texts(speakers);
    let begun = Instant::now();
    let mut took = Vec::new();
    for round in 0.. {
        let due = PERIOD * round;
        if due >= LASTING {
            break;
        }
        for (at, (speaker, text)) in texts.iter().enumerate() {
            // Spread over the period, as nodes are that know nothing of each other.
            let due = due + PERIOD.mul_f64(at as f64 / texts.len() as f64);
            thread::sleep(due.saturating_sub(begun.elapsed()));
            let sent = Instant::now();
            speaker.beat(text);
            took.push(sent.elapsed());
        }
    }
    took
}

fn texts(speakers: &[Speaker]) -> Vec<(&Speaker, String)> {
    let all = speakers.iter().flat_map(|speaker| speaker.reports.iter().map(move |report| (speaker, report)));
    all.map(|(speaker, report)| (speaker, serde_json::to_string(report).expect("a report is JSON"))).collect()
}

impl Speaker {
    fn new(cluster: &Cluster, reports: &[Report]) -> Speaker {
        let session = Session::open(&cluster.monitor_config()).expect("the monitor answers");
        let ask = session.prepare("SELECT pgautofailover.keeper_report($1)").expect("preparing the call");
        Speaker { session, ask, reports: reports.to_vec() }
    }

    /// A lone node that has come to rest; the report that says so.
    fn register(&self, node: usize) -> Report {
        let formation = format!("bench_{node}");
        let address = format!("127.99.{}.{}", node / 250, node % 250 + 1);
        let register = format!(
            "SELECT pgautofailover.create_formation('{formation}', 'pgsql', 'postgres', true, 0);
             SELECT assigned_node_id FROM pgautofailover.register_node('{formation}', '{address}', 9, 'postgres')"
        );
        let rows = self.session.rows(&register, patient(STATEMENT)).expect("registering a node");
        let id = rows.last().and_then(|row| row.first()?.as_ref()?.parse().ok()).expect("a node id");
        let mut report = Report {
            timeline: Timeline(1),
            lsn: Some(Lsn(0x0100_0000)),
            ..Report::of(NodeId(id), State::Init)
        };
        // The first report brings the assignment, the next ones say that it is reached.
        for _ in 0..4 {
            let told = self.report(&report);
            (report.state, report.term, report.history) = (told.goal, told.term, told.term);
        }
        report
    }

    fn report(&self, report: &Report) -> Assignment {
        let text = serde_json::to_string(report).expect("a report is JSON");
        let answer = self.beat(&text);
        serde_json::from_str(&answer).expect("an answer is JSON")
    }

    fn beat(&self, report: &str) -> String {
        self.session.text(&self.ask, &[&report]).expect("a heartbeat is answered")
    }
}
