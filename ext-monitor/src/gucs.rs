//! Settings. Each static is private; what the rest of the crate reads has the type that is meant.
use fsm::policy::Policy;
use fsm::units::{Bytes, Millis};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::{CStr, CString};
use std::time::Duration;

// How long the recorded writer may commit on one answer of ours. Short: it bounds how long a cut-off primary goes on.
static LEASE: GucSetting<i32> = GucSetting::<i32>::new(3_000);
static LEASE_MARGIN: GucSetting<i32> = GucSetting::<i32>::new(500);
// Must outlast a lease, or a primary could be replaced while it still commits.
static UNHEALTHY: GucSetting<i32> = GucSetting::<i32>::new(4_000);
static CRASH_RECOVERY_GRACE: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static STALL: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static DRAIN: GucSetting<i32> = GucSetting::<i32>::new(10_000);
// After our own start everybody's session is new: silence is ours, not theirs.
static STARTUP_GRACE: GucSetting<i32> = GucSetting::<i32>::new(5_000);
static MEMBER: GucSetting<i32> = GucSetting::<i32>::new(30_000);
// Longer than a cause that comes and goes takes to come again; short enough that yesterday's trouble delays nothing today.
static FLAPPING_WINDOW: GucSetting<i32> = GucSetting::<i32>::new(600_000);
// One failover, and one back: what a single outage of each node of a pair comes to.
static FLAPPING_ALLOWANCE: GucSetting<i32> = GucSetting::<i32>::new(2);
static FLAPPING_LONGEST_WAIT: GucSetting<i32> = GucSetting::<i32>::new(60_000);
static SYNC_WAL_LOG_THRESHOLD: GucSetting<i32> = GucSetting::<i32>::new(16);
static HEALTH_CHECK_PERIOD: GucSetting<i32> = GucSetting::<i32>::new(1_000);
static HEALTH_CHECK_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(1_000);
// Read by SQL (prune_events) through current_setting.
static EVENT_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 24 * 3_600);
static DATABASE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"pg_auto_failover"));
static LOCAL_USER: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

const DAY_MS: i32 = 24 * 3_600 * 1_000;

struct Time(&'static CStr, &'static CStr, &'static CStr, &'static GucSetting<i32>, i32);

#[rustfmt::skip]
const TIMES: &[Time] = &[
    Time(c"pgautofailover.lease", c"How long a primary may go on committing after it last heard from the monitor.",
         c"The time-outs that convict a primary must be longer than this plus lease_margin.", &LEASE, 100),
    Time(c"pgautofailover.lease_margin", c"Added to every lease before it counts as run out.",
         c"It covers clocks that drift and answers that are slow to arrive.", &LEASE_MARGIN, 0),
    Time(c"pgautofailover.node_considered_unhealthy_timeout", c"A node that is silent for longer than this is suspected.",
         c"At least lease plus lease_margin.", &UNHEALTHY, 100),
    Time(c"pgautofailover.crash_recovery_grace", c"How long a crashed primary may take to recover before a standby replaces it.",
         c"Counted while its server answers that it is starting up.", &CRASH_RECOVERY_GRACE, 0),
    Time(c"pgautofailover.stall_timeout", c"How long a keeper may be silent while its server still answers.",
         c"At least lease plus lease_margin.", &STALL, 100),
    Time(c"pgautofailover.drain_timeout", c"How long a fenced primary may take to hand its last WAL to the standbys.",
         c"After it the election goes on without it.", &DRAIN, 0),
    Time(c"pgautofailover.startup_grace_period", c"For how long nobody is suspected after the monitor started or stood still.",
         c"Keepers need this long to find the monitor again.", &STARTUP_GRACE, 0),
    Time(c"pgautofailover.member_timeout", c"A standby lost for longer than this leaves the set that commits wait for.",
         c"Only while enough other standbys are left.", &MEMBER, 100),
    Time(c"pgautofailover.flapping_window", c"For how long a failover by a time-out lengthens the time-outs of those that follow.",
         c"0 turns that off.", &FLAPPING_WINDOW, 0),
    Time(c"pgautofailover.flapping_longest_wait", c"The most that failovers by a time-out lengthen a time-out to.",
         c"A time-out that is set to more stays as it is.", &FLAPPING_LONGEST_WAIT, 0),
    Time(c"pgautofailover.health_check_period", c"How often each server is probed.",
         c"A server whose keeper disappears is probed at once.", &HEALTH_CHECK_PERIOD, 10),
    Time(c"pgautofailover.health_check_timeout", c"How long a probe waits for an answer.",
         c"A probe ends at the server's first answer and does not log in.", &HEALTH_CHECK_TIMEOUT, 10),
];

/// Defines every setting; the first thing that the library does.
pub fn define(preloading: bool) {
    // PostgreSQL ends a session that defines a setting of the postmaster's later than at its start.
    let at_start_only = if preloading { GucContext::Postmaster } else { GucContext::Sighup };
    for Time(name, short, long, setting, least) in TIMES {
        GucRegistry::define_int_guc(
            name,
            short,
            long,
            setting,
            *least,
            DAY_MS,
            GucContext::Sighup,
            GucFlags::UNIT_MS,
        );
    }
    GucRegistry::define_int_guc(
        c"pgautofailover.enable_sync_wal_log_threshold",
        c"A standby no further behind than this may be brought into synchronous replication.",
        c"The distance is measured in WAL.",
        &SYNC_WAL_LOG_THRESHOLD,
        1,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MB,
    );
    GucRegistry::define_int_guc(
        c"pgautofailover.flapping_allowance",
        c"So many failovers by a time-out within flapping_window are as fast as ever.",
        c"With each one more the time-outs double.",
        &FLAPPING_ALLOWANCE,
        1,
        1_000,
        GucContext::Sighup,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"pgautofailover.event_retention",
        c"Events older than this are deleted, and the phases of failovers.",
        c"Looked at once an hour.",
        &EVENT_RETENTION,
        60,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_string_guc(
        c"pgautofailover.database",
        c"The database of the monitor.",
        c"Its functions work in this database only, and its worker connects to it.",
        &DATABASE,
        at_start_only,
        GucFlags::empty(),
    );
    GucRegistry::define_string_guc(
        c"pgautofailover.local_user",
        c"The role that the monitor's own worker connects as.",
        c"Empty: the name of the operating system's user that runs the server.",
        &LOCAL_USER,
        GucContext::Sighup,
        GucFlags::empty(),
    );
}

fn millis(setting: &GucSetting<i32>) -> Millis {
    Millis(u64::try_from(setting.get()).unwrap_or(0))
}

fn text(setting: &GucSetting<Option<CString>>) -> String {
    setting.get().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The thresholds as they are written in the configuration.
fn configured() -> Policy {
    Policy {
        lease: millis(&LEASE),
        unhealthy: millis(&UNHEALTHY),
        crash_recovery_grace: millis(&CRASH_RECOVERY_GRACE),
        stall: millis(&STALL),
        drain: millis(&DRAIN),
        startup_grace: millis(&STARTUP_GRACE),
        member_timeout: millis(&MEMBER),
        margin: millis(&LEASE_MARGIN),
        catchup_lag: Bytes::mib(u64::try_from(SYNC_WAL_LOG_THRESHOLD.get()).unwrap_or(0)),
        flapping_window: millis(&FLAPPING_WINDOW),
        flapping_allowance: u32::try_from(FLAPPING_ALLOWANCE.get()).unwrap_or(1),
        flapping_longest_wait: millis(&FLAPPING_LONGEST_WAIT),
    }
}

/// The thresholds to decide by. A time-out that is shorter than a lease is lifted to the lease: a configuration that
/// contradicts itself must neither stop the monitor nor let it replace a primary that may still commit.
pub fn policy() -> Policy {
    let mut policy = configured();
    let after_lease = Millis(policy.lease.0.saturating_add(policy.margin.0));
    policy.unhealthy = policy.unhealthy.max(after_lease);
    policy.stall = policy.stall.max(after_lease);
    policy
}

/// What is wrong with the configuration, in one sentence.
pub fn complaint() -> Option<String> {
    configured().check().err()
}

/// How often each server is probed.
pub fn health_check_period() -> Duration {
    Duration::from_millis(millis(&HEALTH_CHECK_PERIOD).0)
}

/// How long a probe waits.
pub fn health_check_timeout() -> Duration {
    Duration::from_millis(millis(&HEALTH_CHECK_TIMEOUT).0)
}

/// The monitor's database.
pub fn database() -> String {
    text(&DATABASE)
}

/// The role of the worker's own connection, when one is configured.
pub fn local_user() -> Option<String> {
    Some(text(&LOCAL_USER)).filter(|user| !user.is_empty())
}
