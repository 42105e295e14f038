//! A primary is stopped by hand, its standby takes over, and it is started again while the monitor cannot be asked.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than any lease that could have been left over.
const WATCH: Duration = Duration::from_secs(8);

#[test]
fn it_accepts_no_write_until_it_has_rejoined() {
    let cluster = Cluster::pair("stopped");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    old.stop();
    cluster.wait_state(new, "wait_primary", FAILOVER);
    new.sql("INSERT INTO ledger VALUES (1)").expect("the promoted standby takes writes");

    cluster.monitor.stop();
    old.start();
    let started = Instant::now();
    while started.elapsed() < WATCH {
        match old.sql("INSERT INTO ledger VALUES (2)") {
            Ok(_) => panic!("the old primary took a write {:?} after its start", started.elapsed()),
            Err(error) => assert!(error.is_read_only() || error.code.as_deref() == Some("57P03"), "{error}"),
        }
        sleep(Duration::from_millis(50));
    }
    new.sql("INSERT INTO ledger VALUES (3)").expect("the new one still does");

    cluster.monitor.start();
    let writer = cluster.wait_settled_within(REJOIN);
    assert_eq!(writer.name, new.name);
    assert_eq!(writer.sql("SELECT id FROM ledger ORDER BY 1").expect("reading"), "1\n3");
    cluster.check_logs();
}
