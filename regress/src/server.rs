//! One server of a cluster, monitor or node, and what can be done to it.
use crate::account::Account;
use crate::address::Place;
use crate::deadlines::{CONNECT, START, STATEMENT, patient};
use crate::install::Install;
use crate::process::{self, Pid};
use crate::session::{Session, SqlError, target};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio_postgres::Config;

/// A server that pg_autoctl made.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name, which is also the name of its directory.
    pub name: String,
    /// Its data directory.
    pub pgdata: PathBuf,
    /// Which place of the cluster's network it has.
    pub place: Place,
    /// Where it listens.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who runs it.
    pub account: Account,
    /// The programs it is run with.
    pub install: Install,
}

/// The application's role on the nodes.
pub const APP: &str = "app";
/// Its password. Known to everybody: the servers listen on the loopback interface, for the time of a test.
pub const APP_PASSWORD: &str = "not-a-secret";

impl Server {
    /// `pg_ctl start`, and nothing else: what an operator types, or a service manager runs.
    pub fn start(&self) {
        self.bury();
        let output = self.pg_ctl(&["start", "-w", "-t", &patient(START).as_secs().to_string()]);
        assert!(
            output.status.success(),
            "pg_ctl start of {}: {}\n{}",
            self.name,
            text(&output),
            self.log_tail()
        );
    }

    /// A killed postmaster that nobody has reaped still owns its lock files, as far as a new one can tell.
    pub fn bury(&self) {
        if let Some(pid) = self.pid_in_lock_file().filter(|pid| !process::is_alive(*pid)) {
            process::wait_until_reaped(pid);
        }
    }

    /// `pg_ctl stop`.
    pub fn stop(&self) {
        let output = self.pg_ctl(&["stop", "-m", "fast", "-w"]);
        assert!(
            output.status.success(),
            "pg_ctl stop of {}: {}\n{}",
            self.name,
            text(&output),
            self.log_tail()
        );
    }

    /// The same, for whoever does not insist: a service manager, which tries again.
    pub fn begin_to_start(&self) -> Result<(), String> {
        let output = self.pg_ctl(&["start", "-w", "-t", &patient(START).as_secs().to_string()]);
        if output.status.success() { Ok(()) } else { Err(text(&output)) }
    }

    /// pg_ctl with any other arguments, whatever it answers.
    pub fn pg_ctl(&self, arguments: &[&str]) -> Output {
        self.account
            .command(self.install.program("pg_ctl"))
            .args(arguments)
            .arg("-D")
            .arg(&self.pgdata)
            .arg("-l")
            .arg(self.start_log())
            .stdin(Stdio::null())
            .output()
            .expect("running pg_ctl")
    }

    /// The PID of the living postmaster.
    pub fn postmaster(&self) -> Pid {
        self.running().unwrap_or_else(|| panic!("{} is not running", self.name))
    }

    /// The PID of the postmaster, when it lives.
    pub fn running(&self) -> Option<Pid> {
        self.pid_in_lock_file().filter(|pid| process::is_alive(*pid))
    }

    fn pid_in_lock_file(&self) -> Option<Pid> {
        self.lock_file_line(0)?.parse().ok()
    }

    fn lock_file_line(&self, line: usize) -> Option<String> {
        let text = fs::read_to_string(self.pgdata.join("postmaster.pid")).ok()?;
        text.lines().nth(line).map(|line| line.trim().to_owned())
    }

    /// The directory of its Unix socket, while it runs.
    pub fn socket(&self) -> String {
        self.socket_if_running().unwrap_or_else(|| panic!("{} is not running", self.name))
    }

    fn socket_if_running(&self) -> Option<String> {
        self.lock_file_line(4)
    }

    /// Connection settings of the application.
    pub fn app(&self) -> Config {
        target(&self.host, self.port, APP, APP_PASSWORD, "postgres")
    }

    /// Runs SQL as the application; each row a line, columns between bars, as `psql -At` would print it.
    pub fn sql(&self, sql: &str) -> Result<String, SqlError> {
        rows_as_text(&self.app(), sql)
    }

    /// Runs SQL as the superuser over the server's own Unix socket.
    pub fn superuser(&self, database: &str, sql: &str) -> Result<String, String> {
        let socket = self.socket_if_running().ok_or("no socket directory in postmaster.pid")?;
        let output = self
            .account
            .command(self.install.program("psql"))
            .args(["-X", "-At", "-v", "ON_ERROR_STOP=1", "-h", &socket, "-p", &self.port.to_string()])
            .args(["-U", &self.account.name, "-d", database, "-c", sql])
            .env("PGCONNECT_TIMEOUT", CONNECT.as_secs().max(2).to_string())
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            Err(text(&output))
        }
    }

    /// A value of its file of passwords.
    pub fn secret(&self, key: &str) -> String {
        let text = fs::read_to_string(self.state_dir().join("secrets")).expect("reading a server's secrets");
        let values = text.lines().filter_map(|line| line.split_once(" = "));
        let value = values
            .into_iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.trim_matches('"').to_owned());
        value.unwrap_or_else(|| panic!("{} has no {key}", self.name))
    }

    /// The node's directory beside PGDATA.
    pub fn state_dir(&self) -> PathBuf {
        beside(&self.pgdata, ".autoctl")
    }

    /// Everything the server has logged.
    pub fn log(&self) -> String {
        self.log_files().iter().map(|path| read_lossy(path)).collect()
    }

    /// The end of what it has logged, for a failure's message.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn log_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state_dir().join("log")).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.push(self.start_log());
        files.sort();
        files
    }

    fn start_log(&self) -> PathBuf {
        beside(&self.pgdata, ".log")
    }
}

/// Runs SQL with a connection of its own.
pub fn rows_as_text(config: &Config, sql: &str) -> Result<String, SqlError> {
    let rows = Session::open(config)?.rows(sql, patient(STATEMENT))?;
    let lines = rows.into_iter().map(|row| {
        let columns: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        columns.join("|")
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// What a program said, both streams.
pub fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).trim_end().to_owned()
}

fn beside(pgdata: &Path, suffix: &str) -> PathBuf {
    let mut name = pgdata.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
