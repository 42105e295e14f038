//! Servers that log whatever PostgreSQL can log: no password is in a log, in a title of a process, in a query, in what `show`
//! prints, or in a file that others may read.
use regress::cluster::Cluster;
use regress::deadlines::REJOIN;
use regress::install::Install;
use regress::oracles::tell;
use regress::server::{Server, text};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const LOG_EVERYTHING: &str = "\nlog_statement = all\nlog_min_duration_statement = 0\nlog_parameter_max_length = -1\n\
    log_parameter_max_length_on_error = -1\nlog_connections = on\nlog_disconnections = on\nlog_replication_commands = on\n\
    log_error_verbosity = verbose\nlog_min_messages = debug1\n";
/// A process that lives shorter than this is seen by chance only.
const LOOK: Duration = Duration::from_millis(2);

/// Looks at every process of the machine, all the while.
struct Titles {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<BTreeSet<String>>,
}

impl Titles {
    fn watch() -> Titles {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let seen = thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let title = fs::read(process.path().join("cmdline")).unwrap_or_default();
                    if title.len() > 1 {
                        seen.insert(String::from_utf8_lossy(&title).replace('\0', " "));
                    }
                }
                thread::sleep(LOOK);
            }
            seen
        });
        Titles { stop, seen }
    }

    fn finish(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.seen.join().expect("the watch panicked")
    }
}

/// A cluster of somebody else's making, which logs everything from its first start on.
fn make_cluster(cluster: &Cluster, server: &Server) {
    let mut initdb = server.account.command(Install::find().program("initdb"));
    let made = cluster
        .run(initdb.args(["--auth-host=scram-sha-256", "--auth-local=peer", "-D"]).arg(&server.pgdata));
    assert!(made.status.success(), "{}", text(&made));
    let path = server.pgdata.join("postgresql.conf");
    let configuration = fs::read_to_string(&path).expect("its postgresql.conf") + LOG_EVERYTHING;
    fs::write(&path, configuration).expect("its postgresql.conf");
}

/// Every password that stands in a server's file.
fn learn(secrets: &mut BTreeSet<String>, cluster: &Cluster) {
    for server in cluster.nodes.iter().chain([&cluster.monitor]) {
        let file = fs::read_to_string(server.state_dir().join("secrets")).unwrap_or_default();
        let values = file
            .lines()
            .filter(|line| line.contains("password = "))
            .filter_map(|line| line.split('"').nth(1));
        secrets.extend(values.map(str::to_owned));
    }
    secrets.insert(cluster.monitor_password.clone());
}

fn queries(cluster: &Cluster) -> String {
    let ask = "SELECT coalesce(string_agg(query, chr(10)), '') FROM pg_stat_activity";
    let servers = cluster.nodes.iter().chain([&cluster.monitor]);
    servers.filter_map(|server| server.superuser("postgres", ask).ok()).collect()
}

fn shown(cluster: &Cluster) -> String {
    let mut shown = String::new();
    for server in cluster.nodes.iter().chain([&cluster.monitor]) {
        let pgdata = server.pgdata.to_str().expect("a plain path");
        for command in ["show state", "show events --count 1000", "show uri", "config get"] {
            for format in [None, Some("--json")] {
                let words: Vec<&str> = command.split(' ').chain(["--pgdata", pgdata]).chain(format).collect();
                shown += &cluster.cli(&words);
            }
        }
    }
    shown
}

/// The files below that anybody but their owner may read, with what stands in them.
fn readable(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, Ok(about)) = (entry.path(), entry.metadata()) else { continue };
        if about.is_dir() {
            readable(&path, found);
        } else if about.permissions().mode() & 0o077 != 0 {
            found.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
        }
    }
}

#[test]
fn nobody_reads_a_password() {
    let titles = Titles::watch();
    let mut secrets = BTreeSet::new();
    let mut cluster = Cluster::empty("hidden");
    make_cluster(&cluster, &cluster.monitor);
    cluster.create_monitor();
    make_cluster(&cluster, &cluster.next_node());
    cluster.create_node();
    cluster.create_node();
    let monitor = cluster.monitor.pgdata.to_str().expect("a plain path").to_owned();
    let mut said = String::new();
    for _ in 0..2 {
        learn(&mut secrets, &cluster);
        said += &cluster.cli(&["perform", "rotation", "--pgdata", &monitor]);
        cluster.monitor_password = cluster.monitor.secret("monitor_password");
        learn(&mut secrets, &cluster);
        said += &queries(&cluster);
        said += &shown(&cluster);
        cluster.wait_settled_within(REJOIN);
        said += &cluster.cli(&["perform", "failover", "--pgdata", &monitor]);
        cluster.wait_settled_within(REJOIN);
        said += &queries(&cluster);
    }
    let standby = cluster.other(cluster.wait_settled()).clone();
    said += &cluster.cli(&["drop", "node", "--pgdata", standby.pgdata.to_str().expect("a plain path")]);
    learn(&mut secrets, &cluster);

    // The typed one, two rotations of two passwords, and the first of the group.
    assert!(secrets.len() >= 6, "only {} passwords were found", secrets.len());
    let titles = titles.finish();
    assert!(titles.iter().any(|title| title.contains("perform rotation")), "the watch has missed a command");
    let mut files = Vec::new();
    readable(cluster.directory(), &mut files);
    let logs: Vec<(String, String)> = cluster
        .nodes
        .iter()
        .chain([&cluster.monitor])
        .map(|server| (server.name.clone(), server.log()))
        .collect();
    for (name, log) in &logs {
        assert!(
            log.contains("statement: ") && log.contains("connection authorized"),
            "{name} logs too little"
        );
    }
    let rotations = logs.iter().any(|(_, log)| log.contains("ALTER ROLE pgautofailover_replicator PASSWORD"));
    assert!(rotations, "no server has logged how a password was changed");
    for secret in &secrets {
        for (name, log) in &logs {
            let line = log.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{name} has logged a password: {line:?}");
        }
        let title = titles.iter().find(|title| title.contains(secret));
        assert!(title.is_none(), "a process shows a password: {title:?}");
        assert!(!said.contains(secret), "a command or a query shows a password");
        let file =
            files.iter().find(|(_, text)| text.windows(secret.len()).any(|part| part == secret.as_bytes()));
        assert!(file.is_none(), "others can read a password in {:?}", file.map(|(path, _)| path));
    }
    let lines: usize = logs.iter().map(|(_, log)| log.lines().count()).sum();
    tell(&format!(
        "{} passwords, in none of {lines} lines of logs, {} titles of processes, {} files that others may read",
        secrets.len(),
        titles.len(),
        files.len()
    ));
}
