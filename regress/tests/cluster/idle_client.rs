//! The postmaster of a primary is killed and nothing else; an idle local client holds its connection open all the while.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN, START};
use regress::faults::Part;
use regress::oracles::{Oracles, tell};
use regress::{process, wait};
use std::process::Stdio;
use std::time::Instant;

#[test]
fn it_does_not_block_the_return() {
    let cluster = Cluster::pair("idle");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let oracles = Oracles::start(&cluster);
    let mut client = old
        .account
        .command(old.install.program("psql"))
        .args(["-X", "-h"])
        .arg(old.state_dir())
        .args(["-p", &old.port.to_string(), "-d", "postgres"])
        .env("PGAPPNAME", "idle client")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("running psql");
    wait::until("the client is connected", START, || {
        let seen = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'idle client'";
        match old.superuser("postgres", seen) {
            Ok(count) if count == "1" => Ok(()),
            other => Err(other),
        }
    });
    let killed = Instant::now();
    let postmaster = old.signal("KILL", Part::Postmaster);
    cluster.wait_writer(new, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!(
        "postmaster killed: longest pause in writes {} ms",
        oracles.longest_pause(killed).as_millis()
    ));
    process::wait_until_reaped(postmaster);
    old.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    assert!(client.try_wait().expect("looking at psql").is_none(), "the client is still there");
    client.kill().expect("ending psql");
    client.wait().expect("waiting for psql");
    oracles.finish(&cluster);
}
