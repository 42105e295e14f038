//! `make demo`: a monitor and two nodes on this machine, a primary whose whole process tree is killed under load, its return by
//! plain `pg_ctl start`, and what became of the rows. `--keep` leaves everything running to look around.
#![expect(clippy::print_stdout, reason = "a demonstration talks to whoever started it")]

use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::oracles::Oracles;
use regress::session::Session;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let keep = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [option] if option == "--keep" => true,
        other => {
            eprintln!("demo: {other:?}: the only option is --keep (make demo DEMO_ARGS=--keep)");
            return ExitCode::from(1);
        }
    };
    let mut cluster = Cluster::empty("demo");
    create(&mut cluster);
    let oracles = Oracles::start(&cluster);
    say(
        "three writers insert a row every few milliseconds; another one asks each node all the time whether it takes writes",
    );
    std::thread::sleep(Duration::from_secs(2));
    let pause = kill_and_return(&cluster, &oracles);

    let counts = oracles.finish(&cluster);
    say("the oracles were asked");
    println!("    longest pause in writes        {} ms", pause.as_millis());
    println!("    rows acknowledged              {}", counts.acknowledged);
    println!("    acknowledged rows lost         0");
    println!("    writes without an answer       {}  (each of these may be there or not)", counts.unknown);
    println!("    moments with two writers       0");
    if keep {
        look_around(&mut cluster);
    } else {
        say("stopping the servers and removing their directory (make demo DEMO_ARGS=--keep leaves them)");
    }
    ExitCode::SUCCESS
}

fn create(cluster: &mut Cluster) {
    say(&format!("everything of this demonstration is in {}", cluster.directory().display()));
    say("pg_autoctl create monitor");
    cluster.create_monitor();
    for n in 1..=2 {
        say(&format!("pg_autoctl create postgres (node_{n})"));
        cluster.create_node();
    }
    cluster.wait_settled();
    cluster.prepare_oracles();
    show_state(cluster);
}

/// How long writes stood still.
fn kill_and_return(cluster: &Cluster, oracles: &Oracles) -> Duration {
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let rows = oracles.acknowledged();
    say(&format!("{rows} rows acknowledged; SIGKILL to every process of {}, the primary", primary.name));
    let killed = showing_changes(cluster, || {
        primary.kill_tree();
        cluster.wait_state(standby, "wait_primary", FAILOVER);
    });
    oracles.wait_for_writes();
    let pause = oracles.longest_pause(killed);
    show_state(cluster);
    say(&format!("writes go on; they paused for {} ms", pause.as_millis()));

    say(&format!(
        "pg_ctl start -D {}: plain, nothing told, nothing repaired by hand",
        primary.pgdata.display()
    ));
    showing_changes(cluster, || {
        primary.start();
        cluster.wait_settled_within(REJOIN);
    });
    show_state(cluster);
    pause
}

/// Prints each change of the states while `work` is under way; when that began.
fn showing_changes(cluster: &Cluster, work: impl FnOnce()) -> Instant {
    // Opened first: logging in takes longer than some states last.
    let session = Session::open(&cluster.monitor_config()).expect("the monitor answers");
    let since = Instant::now();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = Vec::new();
            loop {
                let ending = done.load(Ordering::Relaxed);
                let seen = cluster.states_by(&session).expect("the monitor answers");
                if seen != last {
                    let line: Vec<String> = seen
                        .iter()
                        .map(|node| format!("{} {} -> {}", node.name, node.reported, node.assigned))
                        .collect();
                    println!("    {:>6} ms  {}", since.elapsed().as_millis(), line.join("   "));
                    last = seen;
                }
                if ending {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        // The other thread must end with the work, also when that fails.
        let _end = Ending(&done);
        work();
    });
    since
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn show_state(cluster: &Cluster) {
    let monitor = cluster.monitor.pgdata.to_string_lossy().into_owned();
    say("pg_autoctl show state");
    for line in cluster.cli(&["show", "state", "--pgdata", &monitor]).lines() {
        println!("    {line}");
    }
}

fn look_around(cluster: &mut Cluster) {
    let directory = cluster.keep().clone();
    let (pgdata, account) = (cluster.monitor.pgdata.clone(), cluster.monitor.account.clone());
    let run_as =
        if account.tests_run_as_root() { format!("runuser -u {} -- ", account.name) } else { String::new() };
    say("everything is left running; look around with");
    println!("    {run_as}pg_autoctl show state --pgdata {}", pgdata.display());
    println!("    {run_as}pg_autoctl show events --pgdata {}", pgdata.display());
    say("and end it with");
    for server in cluster.nodes.iter().chain([&cluster.monitor]) {
        println!("    {run_as}pg_autoctl stop --pgdata {}", server.pgdata.display());
    }
    println!("    rm -r {}", directory.display());
}

fn say(line: &str) {
    println!("\ndemo: {line}");
}
