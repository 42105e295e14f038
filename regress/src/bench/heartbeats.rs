//! What a monitor carries: heartbeats in which nothing changes, of many nodes at once.
//!
//! The nodes are simulated: lone ones, each in a formation of its own, that report what a keeper would. Their servers are addresses at which
//! nobody listens, so the health worker's probes are refused; their sessions stand, so nobody is convicted.
use super::figures::Measurement;
use crate::chaos::measure::holding;
use crate::cluster::Cluster;
use crate::deadlines::{STATEMENT, patient};
use crate::server::Server;
use crate::session::{Session, secured};
use crate::wait;
use connection::liveness;
use fsm::message::{Assignment, Report};
use fsm::state::State;
use fsm::units::{Lsn, NodeId, Timeline};
use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Statement};

const SESSIONS: usize = 8;
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
    // The processor's time is what counts here, and nodes bring their own: one thread plays them all, so that little is taken from the monitor.
    let runtime = Builder::new_current_thread().enable_all().build().expect("building a runtime");
    let few = crowd(&runtime, &cluster, &reports, nodes.div_ceil(SESSIONS));
    wait_for_still_wal(&cluster.monitor);
    let before = wal(&cluster.monitor);
    let begun = Instant::now();
    let fast: usize = play(&runtime, &few, |speaker, _| speaker.as_fast_as_it_goes()).into_iter().sum();
    let a_second = fast as f64 / begun.elapsed().as_secs_f64();
    let mut written = wal(&cluster.monitor) - before;
    drop(few);
    // The sessions are new, which is news.
    let many = crowd(&runtime, &cluster, &reports, 1);
    wait_for_still_wal(&cluster.monitor);
    let before = wal(&cluster.monitor);
    // Spread over the period, as nodes are that know nothing of each other.
    let paced = play(&runtime, &many, |speaker, place| {
        speaker.at_its_pace(PERIOD.mul_f64(place as f64 / nodes as f64))
    });
    written += wal(&cluster.monitor) - before;
    let latencies: Vec<f64> = paced.into_iter().flatten().map(|time| time.as_secs_f64() * 1000.0).collect();
    let backends = play(&runtime, &many, |speaker, _| speaker.backend());
    let memory = backends.into_iter().map(|pid| holding(pid).expect("the backend lives").memory_kb as f64);
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

/// What every node reports once it has come to rest.
fn register(cluster: &Cluster, nodes: usize) -> Vec<Report> {
    let registrar = Registrar::new(cluster);
    (0..nodes).map(|node| registrar.register(node)).collect()
}

/// Speakers for all nodes, each for so many of them.
fn crowd(runtime: &Runtime, cluster: &Cluster, reports: &[Report], each: usize) -> Vec<Arc<Speaker>> {
    let speaker = |reports| Arc::new(runtime.block_on(Speaker::new(cluster, reports)));
    reports.chunks(each).map(speaker).collect()
}

/// All at once, each told its place among them.
fn play<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    runtime: &Runtime,
    crowd: &[Arc<Speaker>],
    work: impl Fn(Arc<Speaker>, usize) -> F,
) -> Vec<T> {
    let playing = async {
        let works = crowd.iter().enumerate().map(|(place, speaker)| work(Arc::clone(speaker), place));
        works.collect::<JoinSet<T>>().join_all().await
    };
    let limit = LASTING + patient(STATEMENT);
    let played = runtime.block_on(async { tokio::time::timeout(limit, playing).await });
    played.expect("the monitor answers in time")
}

/// A session with the monitor, like a keeper's, that speaks for some of the nodes.
struct Speaker {
    client: Client,
    ask: Statement,
    beats: Vec<Beat>,
}

/// What a node reports, and the answer that stands until something changes in its group.
struct Beat {
    report: String,
    answer: String,
}

impl Speaker {
    async fn new(cluster: &Cluster, reports: &[Report]) -> Speaker {
        let mut target = secured(&cluster.monitor_config());
        liveness::apply(&mut target.config, "-c search_path=pg_catalog");
        let (client, connection) = target.connect().await.expect("the monitor answers");
        // It ends with the client; what went wrong is told to the heartbeat that was under way.
        tokio::spawn(async { drop(connection.await) });
        let ask = client.prepare(ASK).await.expect("preparing the call");
        let mut speaker = Speaker { client, ask, beats: Vec::new() };
        // That another session speaks for its node is news in a group, and each change may be followed by one more.
        for report in reports.iter().map(json) {
            let answer = speaker.ask(&report, str::to_owned).await;
            speaker.beats.push(Beat { report, answer });
        }
        speaker
    }

    async fn ask<T>(&self, report: &str, take: impl FnOnce(&str) -> T) -> T {
        let answer = self.client.query_one(&self.ask, &[&report]).await;
        take(answer.expect("a heartbeat is answered").get(0))
    }

    async fn beat(&self, beat: &Beat) {
        let same = self.ask(&beat.report, |answer| answer == beat.answer).await;
        assert!(
            same,
            "nothing has changed, and yet the answer to {} is no longer {}",
            beat.report, beat.answer
        );
    }

    async fn as_fast_as_it_goes(self: Arc<Speaker>) -> usize {
        let begun = Instant::now();
        let mut sent = 0;
        while begun.elapsed() < LASTING {
            for beat in &self.beats {
                self.beat(beat).await;
            }
            sent += self.beats.len();
        }
        sent
    }

    /// Twice a second from each node; how long each answer took.
    async fn at_its_pace(self: Arc<Speaker>, offset: Duration) -> Vec<Duration> {
        let begun = Instant::now() + offset;
        let mut took = Vec::new();
        for due in (0..).map(|round| PERIOD * round).take_while(|due| *due < LASTING) {
            for beat in &self.beats {
                tokio::time::sleep_until((begun + due).into()).await;
                let sent = Instant::now();
                self.beat(beat).await;
                took.push(sent.elapsed());
            }
        }
        took
    }

    async fn backend(self: Arc<Speaker>) -> u32 {
        let row = self.client.query_one("SELECT pg_backend_pid()", &[]).await;
        row.expect("the monitor answers").get::<_, i32>(0).cast_unsigned()
    }
}

const ASK: &str = "SELECT pgautofailover.keeper_report($1)";

fn json(report: &Report) -> String {
    serde_json::to_string(report).expect("a report is JSON")
}

/// Brings nodes into being.
struct Registrar {
    session: Session,
    ask: Statement,
}

impl Registrar {
    fn new(cluster: &Cluster) -> Registrar {
        let session = Session::open(&cluster.monitor_config()).expect("the monitor answers");
        let ask = session.prepare(ASK).expect("preparing the call");
        Registrar { session, ask }
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
        let answer = self.session.text(&self.ask, &[&json(report)]).expect("a heartbeat is answered");
        serde_json::from_str(&answer).expect("an answer is JSON")
    }
}
