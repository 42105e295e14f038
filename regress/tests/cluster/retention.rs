//! Events are kept for as long as the setting says, and no longer.
use regress::cluster::Cluster;
use regress::deadlines::{COMMAND, START};
use regress::oracles::tell;
use regress::wait;
use std::time::Instant;

const OLD: u32 = 20_000;
const YOUNG: u32 = 300;

#[test]
fn old_events_go_and_young_ones_stay() {
    let mut cluster = Cluster::empty("retain");
    cluster.create_monitor();
    let sql = |sql: &str| {
        let done = cluster.monitor.superuser("pg_auto_failover", sql);
        done.unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    assert_eq!(sql("SHOW pgautofailover.event_retention"), "30d");
    let write = |count: u32, age: &str| {
        sql(&format!(
            "WITH made AS (
                INSERT INTO pgautofailover.event (eventtime, formationid, groupid, description)
                SELECT now() - interval '{age}' + n * interval '1 s', 'default', 0, 'event ' || n
                  FROM generate_series(1, {count}) AS n RETURNING eventid)
             INSERT INTO pgautofailover.event_facts SELECT eventid, '{{}}' FROM made"
        ));
    };
    let counts =
        "SELECT (SELECT count(*) FROM pgautofailover.event WHERE eventtime < now() - interval '30 days'),
                         (SELECT count(*) FROM pgautofailover.event WHERE description LIKE 'event %'),
                         (SELECT count(*) FROM pgautofailover.event_facts)";
    let until = |what: &str, old: u32, all: u32| {
        wait::until(what, COMMAND, || {
            let seen = cluster.monitor.superuser("pg_auto_failover", counts)?;
            if seen == format!("{old}|{all}|{all}") { Ok(()) } else { Err(seen) }
        });
    };
    write(OLD, "31 days");
    write(YOUNG, "29 days");
    until("they are there", OLD, OLD + YOUNG);

    cluster.monitor.stop();
    let restarted = Instant::now();
    cluster.monitor.start();
    until("the old ones are gone and the young ones are not", 0, YOUNG);
    assert!(restarted.elapsed() < START, "pruned at the start, not an hour later");
    tell(&format!(
        "{OLD} old events and their facts were deleted within {:.1} s of the monitor's start",
        restarted.elapsed().as_secs_f64()
    ));

    // A shorter time, and a table that somebody reads and locks rows of meanwhile.
    sql("ALTER SYSTEM SET pgautofailover.event_retention = '10d'");
    cluster.monitor.stop();
    cluster.monitor.start();
    until("the setting is obeyed", 0, 0);
    cluster.check_logs();
}
