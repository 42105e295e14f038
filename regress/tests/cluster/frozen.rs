//! Something stands still and is neither dead nor gone: the keeper of a primary, or all of its processes at once, or the monitor. Frozen for
//! longer than every time-out, which is as good as for ever; `--ignored` freezes them for a minute, with the usual time-outs.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN, WRITE};
use regress::faults::Part;
use regress::oracles::{Oracles, tell};
use regress::server::Server;
use regress::session::Session;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long something stands still, and after how much of that a silent keeper is replaced.
#[derive(Clone, Copy)]
struct Frost {
    lasts: Duration,
    stall_timeout: &'static str,
}

const SHORT: Frost = Frost { lasts: Duration::from_secs(10), stall_timeout: "5s" };
const A_MINUTE: Frost = Frost { lasts: Duration::from_secs(60), stall_timeout: "10s" };

impl Frost {
    fn pair(self, name: &str) -> Cluster {
        let cluster = Cluster::pair(name);
        cluster.set_on_monitor("stall_timeout", self.stall_timeout);
        cluster
    }

    /// Until it has stood still for long enough.
    fn sit_out(self, since: Instant) {
        sleep(self.lasts.saturating_sub(since.elapsed()));
    }
}

/// A session that was there before must not commit by what it learned then.
fn assert_refused(session: &Session, of: &Server) {
    let error =
        session.write("INSERT INTO ledger VALUES (-1)", &[], WRITE).expect_err("the first commit after it");
    // Ended by the fence, by the shutdown that follows, or refused: whichever came first.
    let refused = error.is_read_only() || error.code.is_none() || error.code.as_deref() == Some("57P01");
    assert!(refused, "{} answered {error}", of.name);
}

#[test]
fn a_frozen_keeper_is_replaced() {
    replace_a_frozen_keeper(SHORT);
}

#[test]
#[ignore = "stands still for a minute"]
fn a_keeper_frozen_for_a_minute_is_replaced() {
    replace_a_frozen_keeper(A_MINUTE);
}

#[test]
fn a_frozen_primary_is_replaced_and_commits_nothing_when_it_thaws() {
    replace_a_frozen_primary(SHORT);
}

#[test]
#[ignore = "stands still for a minute"]
fn a_primary_frozen_for_a_minute_is_replaced_and_commits_nothing_when_it_thaws() {
    replace_a_frozen_primary(A_MINUTE);
}

fn replace_a_frozen_keeper(frost: Frost) {
    let cluster = frost.pair("keeper");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let oracles = Oracles::start(&cluster);
    let frozen = Instant::now();
    old.signal("STOP", Part::Keeper);
    cluster.wait_writer(new, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!("keeper frozen: longest pause in writes {} ms", oracles.longest_pause(frozen).as_millis()));
    frost.sit_out(frozen);
    old.signal("CONT", Part::Keeper);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    oracles.finish(&cluster);
}

fn replace_a_frozen_primary(frost: Frost) {
    let cluster = frost.pair("frozen");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let oracles = Oracles::start(&cluster);
    let session = Session::open(&old.app()).expect("a session before");
    let frozen = Instant::now();
    old.freeze();
    cluster.wait_writer(new, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!(
        "primary frozen: longest pause in writes {} ms",
        oracles.longest_pause(frozen).as_millis()
    ));
    frost.sit_out(frozen);
    old.thaw();
    assert_refused(&session, old);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    oracles.finish(&cluster);
}

/// A monitor that stands still decides nothing, and nobody needs it to go on.
#[test]
fn a_frozen_monitor_is_no_reason_to_act() {
    let cluster = SHORT.pair("monitorice");
    let primary = cluster.wait_settled();
    let oracles = Oracles::start(&cluster);
    let frozen = Instant::now();
    cluster.monitor.freeze();
    SHORT.sit_out(frozen);
    let pause = oracles.longest_pause(frozen);
    tell(&format!("monitor frozen: longest pause in writes {} ms", pause.as_millis()));
    assert!(pause < Duration::from_secs(2), "writes stood still for {pause:?}");
    cluster.monitor.thaw();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name, "no failover");
    oracles.wait_for_writes();
    oracles.finish(&cluster);
}
