//! How soon the last commit follows when a primary raises its fence: what is past the check goes on, and nothing else does.
use super::figures::Measurement;
use crate::cluster::Cluster;
use crate::deadlines::{FAILOVER, REJOIN, START};
use crate::ledger::{Ledger, Manner};
use crate::oracles::tell;
use crate::server::Server;
use crate::wait;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Why a fence goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `pg_autoctl perform switchover`.
    Switchover,
    /// `pg_ctl stop`, fast.
    Stop,
}

/// Clients that write as fast as they can, and to the old primary only.
const CLIENTS: Manner = Manner {
    writers: 8,
    pace: Duration::ZERO,
    retry: Duration::from_millis(20),
    patience: Duration::from_secs(2),
};
/// What the keeper logs at that moment.
const RAISED: &str = "raised the commit fence";

/// From the moment at which the keeper raises the fence to the last row that this server acknowledges; below zero when nothing was
/// under way at that moment. To the millisecond, as logs are. And how long a commit took these clients before, on average.
pub fn measure(reason: Reason, runs: usize) -> Vec<Measurement> {
    let end = match reason {
        Reason::Switchover => "switchover",
        Reason::Stop => "stop",
    };
    let cluster = Cluster::pair("fence");
    let samples = (1..=runs).map(|run| {
        let (after, usual) = play(reason, &cluster);
        tell(&format!("fence: {end}: run {run}: last commit after {after:.0} ms; one takes {usual:.0} ms"));
        (after, usual)
    });
    let (after, usual) = samples.unzip();
    vec![
        Measurement::new(format!("fence.last_commit.{end}"), "ms", after),
        Measurement::new(format!("fence.usual_commit.{end}"), "ms", usual),
    ]
}

fn play(reason: Reason, cluster: &Cluster) -> (f64, f64) {
    let old = cluster.wait_settled_within(REJOIN);
    let new = cluster.other(old);
    old.sql("TRUNCATE ledger").unwrap_or_else(|error| panic!("emptying the ledger: {error}"));
    let times = raised(old).len();
    let ledger = Ledger::start_on(&old.app(), CLIENTS);
    let begun = Instant::now();
    wait::until("rows are acknowledged", START, || match ledger.acknowledged() {
        enough if enough > 100 * CLIENTS.writers => Ok(()),
        few => Err(few),
    });
    let usual =
        1000.0 * begun.elapsed().as_secs_f64() * CLIENTS.writers as f64 / ledger.acknowledged() as f64;
    match reason {
        Reason::Stop => old.stop(),
        Reason::Switchover => {
            let asked = "SELECT pgautofailover.perform_failover(formation_id => 'default', group_id => 0)";
            cluster.ask_monitor(asked).unwrap_or_else(|error| panic!("perform_failover: {error}"));
        }
    }
    cluster.wait_writer(new, FAILOVER);
    let last = ledger.last_acknowledged().expect("rows were acknowledged");
    let lost = ledger.finish(new);
    assert!(lost.is_empty(), "acknowledged rows are lost: {lost:?}");
    let raised = raised(old).get(times).cloned().expect("the keeper has logged that it raised the fence");
    if reason == Reason::Stop {
        old.start();
    }
    (1000.0 * (since_epoch(last) - moment(&cluster.monitor, &raised)), usual)
}

/// When the keeper of that server has raised its fence, each time, as its log says.
fn raised(server: &Server) -> Vec<String> {
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains(RAISED));
    // `%m [%p] ...`; a single-user server, which a rewind may have run, leaves the prompt that it ended at.
    let moment = |line: &str| line.trim_start_matches("backend> ").split(" [").next().map(str::to_owned);
    lines.filter_map(moment).collect()
}

/// Seconds since the epoch: PostgreSQL reads what it has written.
fn moment(server: &Server, text: &str) -> f64 {
    let answer = server.superuser("postgres", &format!("SELECT extract(epoch FROM '{text}'::timestamptz)"));
    answer.ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no point in time: {text}"))
}

fn since_epoch(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).expect("a time of our days").as_secs_f64()
}
