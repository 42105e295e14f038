//! Every failover and switchover tells when it reached which phase.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::server::Server;
use regress::wait;
use serde_json::Value;

const PHASES: [&str; 5] = ["suspected", "convicted", "pledged", "promoted", "first_write"];

/// `pg_autoctl show timing`, on the monitor.
fn show_timing(cluster: &Cluster, more: &[&str]) -> String {
    let pgdata = cluster.monitor.pgdata.to_str().expect("its path is UTF-8");
    cluster.cli(&[&["show", "timing", "--pgdata", pgdata], more].concat())
}

fn shown(cluster: &Cluster) -> Vec<Value> {
    let printed = show_timing(cluster, &["--json"]);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"))
}

fn ask(cluster: &Cluster, sql: &str) -> String {
    cluster.ask_monitor(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// A client writes, and the monitor hears of it.
fn write(cluster: &Cluster, primary: &Server, term: u64) {
    wait::until("a client writes", FAILOVER, || {
        primary.superuser(
            "postgres",
            "CREATE TABLE IF NOT EXISTS written (n int); INSERT INTO written VALUES (1)",
        )
    });
    wait::until("the first write is told", FAILOVER, || {
        let told = format!("SELECT first_write IS NOT NULL FROM pgautofailover.failover WHERE term = {term}");
        match ask(cluster, &told) {
            yes if yes == "t" => Ok(()),
            other => Err(other),
        }
    });
}

/// The clock and every phase, in this order.
fn assert_in_order(cluster: &Cluster, term: u64, since: &str) {
    let pairs: Vec<String> = PHASES.windows(2).map(|pair| format!("{} <= {}", pair[0], pair[1])).collect();
    let asked = format!(
        "SELECT '{since}' <= suspected AND {} AND first_write <= clock_timestamp() FROM pgautofailover.failover WHERE term = {term}",
        pairs.join(" AND ")
    );
    assert_eq!(ask(cluster, &asked), "t", "{:#?}", shown(cluster));
}

/// What people are told is what the table says.
fn assert_shown(cluster: &Cluster, row: &Value, term: u64, cause: &str, from: &Server, to: &Server) {
    assert_eq!(row["term"], term);
    assert_eq!(row["cause"], cause);
    assert_eq!(
        (&row["old_primary"], &row["new_primary"]),
        (&from.name.clone().into(), &to.name.clone().into())
    );
    for phase in PHASES {
        let asked =
            format!("SELECT to_json({phase}) #>> '{{}}' FROM pgautofailover.failover WHERE term = {term}");
        assert_eq!(row[phase], ask(cluster, &asked), "{phase}: {row:#}");
    }
    let of = |phase: &str| row[format!("{phase}_ms")].as_f64().unwrap_or_else(|| panic!("{phase}: {row:#}"));
    let sum: f64 = PHASES[1..].iter().map(|phase| of(phase)).sum();
    // Each is rounded to a tenth.
    assert!((sum - of("total")).abs() < 0.5, "{row:#}");
}

#[test]
fn a_failover_and_a_switchover_tell_their_phases() {
    let cluster = Cluster::pair("timing");
    let (first, second) = (cluster.node(1), cluster.node(2));
    assert_eq!(shown(&cluster), Vec::<Value>::new(), "nothing has failed over yet");

    let before = ask(&cluster, "SELECT clock_timestamp()");
    first.kill_tree();
    cluster.wait_writer(second, FAILOVER);
    first.start();
    cluster.wait_settled_within(REJOIN);
    let unwritten = &shown(&cluster)[0];
    assert_eq!(unwritten["first_write"], Value::Null, "what the keeper itself commits is no client's");
    assert!(unwritten["promoted"].is_string(), "{unwritten:#}");
    write(&cluster, second, 2);
    assert_in_order(&cluster, 2, &before);

    let before = ask(&cluster, "SELECT clock_timestamp()");
    ask(&cluster, "SELECT pgautofailover.perform_failover()");
    cluster.wait_writer(first, FAILOVER);
    write(&cluster, first, 3);
    assert_in_order(&cluster, 3, &before);

    let rows = shown(&cluster);
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert_shown(&cluster, &rows[0], 2, "the primary is gone", first, second);
    assert_shown(&cluster, &rows[1], 3, "handed over", second, first);
    let newest = show_timing(&cluster, &["--count", "1"]);
    assert!(newest.contains("| handed over |") && !newest.contains("the primary is gone"), "{newest}");
    cluster.wait_settled_within(REJOIN);
}
