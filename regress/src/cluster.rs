//! A monitor and its nodes, made by the installed pg_autoctl as a user would make them.
use crate::account::{Account, without_postgres};
use crate::address::{Place, Subnet};
use crate::deadlines::{CONNECT, CREATE, FAILOVER, STATEMENT, patient};
use crate::encryption::{Authority, Encryption};
use crate::install::{Install, repository};
use crate::logs;
use crate::network::{Network, NoisyCables};
use crate::server::{APP, APP_PASSWORD, Server, rows_as_text, text};
use crate::session::{Session, SqlError, target};
use crate::{process, wait};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

/// The first password of `autoctl_node`.
pub const MONITOR_PASSWORD: &str = "monitor-not-a-secret";

/// A cluster. Dropping it stops every server, by PID, and removes the directory unless the test is failing.
pub struct Cluster {
    directory: PathBuf,
    subnet: Subnet,
    /// Machines of their own for the servers, in a cluster that was made with them.
    pub network: Option<Network>,
    /// What the servers are told about TLS when they are made.
    pub encryption: Encryption,
    account: Account,
    install: Install,
    keep: bool,
    /// What its servers may log because of what this scenario does to them, besides what is usual.
    pub explained: Vec<&'static str>,
    /// The monitor; made by [`Cluster::create_monitor`].
    pub monitor: Server,
    /// The nodes made so far, in order.
    pub nodes: Vec<Server>,
    /// The present password of `autoctl_node`.
    pub monitor_password: String,
}

/// A node as the monitor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// The state it reported.
    pub reported: String,
    /// The state it was assigned.
    pub assigned: String,
}

impl Cluster {
    /// Addresses and a directory, no server yet.
    pub fn empty(name: &str) -> Cluster {
        process::adopt_orphans();
        let (account, install, subnet) = (Account::of_servers(), Install::find(), Subnet::claim());
        // Short: a Unix socket's path must fit in 107 bytes.
        let directory = tempfile::Builder::new().prefix(&format!("pgaf-{name}-")).tempdir_in("/tmp");
        let directory = directory.expect("making a directory in /tmp").keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).expect("chmod");
        account.own(&directory);
        let monitor = Server {
            name: "monitor".to_owned(),
            pgdata: directory.join("monitor"),
            place: Place::Monitor,
            host: subnet.host(Place::Monitor),
            port: subnet.port(Place::Monitor),
            account: account.clone(),
            install: install.clone(),
        };
        Cluster {
            directory,
            subnet,
            network: None,
            encryption: Encryption::Usual,
            account,
            install,
            keep: false,
            explained: Vec::new(),
            monitor,
            nodes: Vec::new(),
            monitor_password: MONITOR_PASSWORD.to_owned(),
        }
    }

    /// The same with a machine for each server.
    pub fn on_machines(name: &str) -> Cluster {
        Cluster::connected_by(name, None)
    }

    /// The same, connected by cables that can be noisy: see [`Network::make_noise`].
    pub fn on_noisy_machines(name: &str, seed: u64) -> Cluster {
        Cluster::connected_by(name, Some(NoisyCables::new(seed)))
    }

    fn connected_by(name: &str, noisy: Option<NoisyCables>) -> Cluster {
        let mut cluster = Cluster::empty(name);
        let mut network = Network::make(cluster.subnet.number(), &cluster.directory, noisy);
        cluster.monitor.host = network.host(Place::Monitor);
        cluster.monitor.account = cluster.account.on(network.add(Place::Monitor));
        cluster.network = Some(network);
        cluster
    }

    /// Its network, in a cluster that was made with machines.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("a cluster on machines")
    }

    /// A monitor and two nodes, settled as primary and secondary, with the tables of both oracles.
    pub fn pair(name: &str) -> Cluster {
        Cluster::empty(name).with_pair()
    }

    /// Makes all of [`Cluster::pair`].
    pub fn with_pair(self) -> Cluster {
        self.with_nodes(2)
    }

    /// The same with another number of nodes.
    pub fn with_nodes(self, count: usize) -> Cluster {
        let mut cluster = self;
        cluster.create_monitor();
        for _ in 0..count {
            cluster.create_node();
        }
        cluster.wait_settled();
        cluster.prepare_oracles();
        cluster
    }

    /// An authority with its files in the cluster's directory.
    pub fn authority(&self, name: &str) -> Authority {
        Authority::new(self.directory.join(name), &self.account)
    }

    /// `pg_autoctl create monitor`.
    pub fn create_monitor(&mut self) {
        self.install.check();
        let (pgdata, port) = (self.monitor.pgdata.clone(), self.monitor.port.to_string());
        let output = self.run(
            self.monitor
                .account
                .command(self.install.program("pg_autoctl"))
                .args(["create", "monitor", "--pgdata"])
                .arg(pgdata)
                .args(["--pgport", &port, "--hostname", &self.monitor.host, "--listen", &self.monitor.host])
                .args(self.encryption.options(&self.monitor.host))
                .env("PGPASSWORD", MONITOR_PASSWORD),
        );
        assert!(output.status.success(), "create monitor: {}\n{}", text(&output), self.monitor.log_tail());
    }

    /// The same for nodes that are only told about, by the functions of `stage.sql`: none is convicted for not answering.
    pub fn create_monitor_of_told_nodes(&mut self) {
        self.create_monitor();
        for setting in ["startup_grace_period", "node_considered_unhealthy_timeout", "stall_timeout"] {
            let sql = format!("ALTER SYSTEM SET pgautofailover.{setting} = '1h'");
            self.monitor.superuser("postgres", &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        self.monitor.stop();
        self.monitor.start();
        let stage = fs::read_to_string(repository().join("regress/stage.sql")).expect("reading stage.sql");
        let set_up = self.monitor.superuser("pg_auto_failover", &stage);
        set_up.unwrap_or_else(|error| panic!("stage.sql: {error}"));
    }

    /// `pg_autoctl create postgres`, once more; returns when the node is settled.
    pub fn create_node(&mut self) -> &Server {
        let node = self.next_machine();
        let output = self.run(&mut self.create_postgres(&node));
        assert!(output.status.success(), "create {}: {}\n{}", node.name, text(&output), node.log_tail());
        self.nodes.push(node);
        self.nodes.last().expect("just pushed")
    }

    /// The node that [`Cluster::create_node`] makes next, with its machine.
    pub fn next_machine(&mut self) -> Server {
        let mut node = self.next_node();
        if let Some(network) = &mut self.network {
            node.host = network.host(node.place);
            node.account = node.account.on(network.add(node.place));
        }
        node
    }

    /// The node that [`Cluster::create_node`] would make next.
    pub fn next_node(&self) -> Server {
        let n = u8::try_from(self.nodes.len() + 1).expect("few nodes");
        let name = format!("node_{n}");
        Server {
            pgdata: self.directory.join(&name),
            name,
            place: Place::Node(n),
            host: self.subnet.host(Place::Node(n)),
            port: self.subnet.port(Place::Node(n)),
            account: self.account.clone(),
            install: self.install.clone(),
        }
    }

    /// The command that makes `node`.
    pub fn create_postgres(&self, node: &Server) -> Command {
        let mut command = node.account.command(self.install.program("pg_autoctl"));
        command.args(["create", "postgres", "--pgdata"]).arg(&node.pgdata);
        command.args(["--pgport", &node.port.to_string(), "--hostname", &node.host, "--listen", &node.host]);
        command.args(["--name", &node.name]).args(self.encryption.options(&node.host));
        command.env("PG_AUTOCTL_MONITOR", self.monitor_uri()).env("PGPASSWORD", &self.monitor_password);
        command
    }

    /// The installed pg_autoctl, to be run by the servers' account, on the monitor's machine when it has one of its own.
    pub fn pg_autoctl(&self) -> Command {
        self.monitor.account.command(self.install.program("pg_autoctl"))
    }

    /// The same, run by whoever runs the tests.
    pub fn pg_autoctl_as_myself(&self) -> Command {
        let mut command = Command::new(self.install.program("pg_autoctl"));
        without_postgres(&mut command);
        command
    }

    /// Runs a command with the deadline of the longest ones.
    pub fn run(&self, command: &mut Command) -> Output {
        self.run_within(CREATE, command)
    }

    /// Runs a command; panics when it has not ended within `limit`.
    pub fn run_within(&self, limit: Duration, command: &mut Command) -> Output {
        let limit = patient(limit);
        let child = command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("running {command:?}: {error}"));
        let pid = child.id();
        let (done, waiting) = std::sync::mpsc::channel();
        std::thread::spawn(move || drop(done.send(child.wait_with_output())));
        match waiting.recv_timeout(limit) {
            Ok(output) => output.expect("reading a command's output"),
            Err(_) => {
                process::kill_tree(pid);
                let said = waiting.recv().expect("the thread sends").map(|output| text(&output));
                panic!(
                    "no end within {} s: {command:?}; it said: {}",
                    limit.as_secs(),
                    said.unwrap_or_default()
                )
            }
        }
    }

    /// Runs pg_autoctl with these arguments, which must succeed, and gives what it printed.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = self.run(self.pg_autoctl().args(arguments));
        assert!(output.status.success(), "pg_autoctl {arguments:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// How the nodes reach the monitor, without the password.
    pub fn monitor_uri(&self) -> String {
        let (host, port) = (&self.monitor.host, self.monitor.port);
        format!("postgres://autoctl_node@{host}:{port}/pg_auto_failover{}", self.encryption.parameters())
    }

    /// Connection settings for the monitor's database.
    pub fn monitor_config(&self) -> Config {
        target(
            &self.monitor.host,
            self.monitor.port,
            "autoctl_node",
            &self.monitor_password,
            "pg_auto_failover",
        )
    }

    /// Runs SQL on the monitor as `autoctl_node`.
    pub fn ask_monitor(&self, sql: &str) -> Result<String, SqlError> {
        rows_as_text(&self.monitor_config(), sql)
    }

    /// The newest term of the group: how many elections there were.
    pub fn term(&self) -> u64 {
        let asked = self.monitor.superuser("pg_auto_failover", "SELECT term FROM pgautofailover.group_state");
        asked.ok().and_then(|term| term.parse().ok()).expect("the monitor knows the term of its only group")
    }

    /// Node `n`, counted from 1.
    pub fn node(&self, n: usize) -> &Server {
        &self.nodes[n - 1]
    }

    /// The node of that name.
    pub fn named(&self, name: &str) -> &Server {
        self.nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// What an application is told to use: all nodes, the one that takes writes.
    pub fn any_node(&self) -> Config {
        let mut config = Config::new();
        for node in &self.nodes {
            config.host(&node.host).port(node.port);
        }
        config.user(APP).password(APP_PASSWORD).dbname("postgres").connect_timeout(CONNECT);
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config
    }

    /// Every node as the monitor sees it, by name.
    pub fn states(&self) -> Result<Vec<Seen>, SqlError> {
        self.states_by(&Session::open(&self.monitor_config())?)
    }

    /// The same over a session that stands, for whoever looks often.
    pub fn states_by(&self, session: &Session) -> Result<Vec<Seen>, SqlError> {
        let rows = session.rows(
            "SELECT nodename, current_group_state, assigned_group_state FROM pgautofailover.current_state() ORDER BY 1",
            patient(STATEMENT),
        )?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let mut columns = row.into_iter().map(Option::unwrap_or_default);
                let mut next = || columns.next().unwrap_or_default();
                Seen { name: next(), reported: next(), assigned: next() }
            })
            .collect())
    }

    /// The writer, once the group is a settled primary with its secondaries: by the monitor's account, and by the server's own,
    /// for until a restarted node reports the monitor shows the state of its former life.
    pub fn settled_primary(&self) -> Result<&Server, String> {
        let primary = self.primary_by_the_monitor()?;
        match primary.superuser("postgres", "SELECT pg_is_in_recovery()").as_deref() {
            Ok("f") => Ok(primary),
            seen => Err(format!("{} is settled for the monitor, and in recovery: {seen:?}", primary.name)),
        }
    }

    fn primary_by_the_monitor(&self) -> Result<&Server, String> {
        let states = self.states().map_err(|error| error.to_string())?;
        let settled = |node: &&Seen, state: &str| node.reported == state && node.assigned == state;
        let primaries: Vec<&Seen> = states.iter().filter(|node| settled(node, "primary")).collect();
        let secondaries = states.iter().filter(|node| settled(node, "secondary")).count();
        match primaries[..] {
            [primary] if secondaries + 1 == self.nodes.len() => Ok(self.named(&primary.name)),
            _ => Err(states
                .iter()
                .map(|n| format!("{} {}/{}", n.name, n.reported, n.assigned))
                .collect::<Vec<_>>()
                .join(", ")),
        }
    }

    /// Waits until the group is settled; its primary.
    pub fn wait_settled(&self) -> &Server {
        self.wait_settled_within(FAILOVER)
    }

    /// The same with another limit.
    pub fn wait_settled_within(&self, limit: Duration) -> &Server {
        wait::until("one node is primary and all others are secondary", limit, || self.settled_primary())
    }

    /// Waits until the monitor sees a node in a state that it was also assigned.
    pub fn wait_state(&self, node: &Server, state: &str, limit: Duration) {
        wait::until(&format!("{} is {state}", node.name), limit, || {
            let states = self.states().map_err(|error| error.to_string())?;
            let seen = states.into_iter().find(|seen| seen.name == node.name).ok_or("not registered")?;
            if seen.reported == state && seen.assigned == state { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    }

    /// Waits until that node is the writer, with standbys or alone.
    pub fn wait_writer(&self, node: &Server, limit: Duration) {
        wait::until(&format!("{} is the writer", node.name), limit, || {
            let states = self.states().map_err(|error| error.to_string())?;
            let writes = |seen: &Seen| {
                seen.name == node.name
                    && seen.reported == seen.assigned
                    && ["primary", "wait_primary"].contains(&seen.reported.as_str())
            };
            if states.iter().any(writes) { Ok(()) } else { Err(format!("{states:?}")) }
        });
    }

    /// Changes one of the monitor's settings, without our prefix.
    pub fn set_on_monitor(&self, setting: &str, value: &str) {
        for sql in [
            format!("ALTER SYSTEM SET pgautofailover.{setting} = '{value}'"),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            self.monitor.superuser("postgres", &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }

    /// Has the next failover be as fast as the first one.
    pub fn forget_failovers(&self) {
        let sql = "SELECT pgautofailover.forget_failovers()";
        self.ask_monitor(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The node of a pair that is not `other`.
    pub fn other(&self, other: &Server) -> &Server {
        self.nodes.iter().find(|node| node.name != other.name).expect("a pair")
    }

    /// Makes the application's role and the oracles' tables on the primary.
    pub fn prepare_oracles(&self) {
        let primary = self.wait_settled();
        let sql = format!(
            "CREATE ROLE {APP} LOGIN PASSWORD '{APP_PASSWORD}';
             CREATE TABLE ledger (id bigint PRIMARY KEY);
             CREATE TABLE witness (id bigint PRIMARY KEY, node text NOT NULL);
             GRANT ALL ON ledger, witness TO {APP}; GRANT CREATE ON SCHEMA public TO {APP}"
        );
        primary.superuser("postgres", &sql).unwrap_or_else(|error| panic!("preparing the tables: {error}"));
    }

    /// Fails when a server has logged something that no fault of ours explains.
    pub fn check_logs(&self) {
        for server in self.servers() {
            logs::check(&server.name, &server.log(), &self.explained);
        }
    }

    /// Leaves servers and directory as they are when this value is dropped.
    pub fn keep(&mut self) -> &PathBuf {
        self.keep = true;
        &self.directory
    }

    /// Where everything of this cluster is.
    pub fn directory(&self) -> &PathBuf {
        &self.directory
    }

    /// The port that belongs to a place of this cluster.
    pub fn port(&self, place: Place) -> u16 {
        self.subnet.port(place)
    }

    /// The directory of the installed programs.
    pub fn programs(&self) -> PathBuf {
        self.install.program("")
    }

    fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.monitor).chain(&self.nodes)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Not only those that were made: a create that failed may have left a server behind.
        let attempted = self.next_node();
        for server in self.servers().chain(std::iter::once(&attempted)) {
            if let Some(pid) = server.running() {
                process::signal("KILL", &process::tree(pid));
            }
        }
        if std::thread::panicking() {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            eprintln!(
                "what is left of the cluster: {}\nto run it again: . .ci/env && cargo test --locked \"${{cargo_args[@]}}\" \
                 -p regress --test cluster -- {test} --exact --nocapture",
                self.directory.display()
            );
        } else if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("{} was not removed: {error}", self.directory.display());
        }
    }
}
