//! PostgreSQL's own programs: where they are, and how we call them.
use crate::datadir::{self, Running};
use crate::error::{Error, Kind, Result};
use crate::in_place::child;
use crate::in_place::sync::{self, Disks};
use crate::last_start;
use fsm::units::Timeline;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

/// The programs of one PostgreSQL version.
#[derive(Clone, Debug)]
pub struct Postgres {
    bindir: PathBuf,
    major: String,
}

/// What `pg_controldata` says about a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// The cluster's system identifier.
    pub system_identifier: u64,
    /// Bytes of a WAL segment.
    pub segment_size: u64,
    /// The timeline of its last checkpoint.
    pub timeline: Timeline,
    /// It was a standby, or was being restored, when it stopped.
    pub in_recovery: bool,
}

impl Postgres {
    /// The programs to use: those that `--pgctl` names, else those that ran or made `pgdata`, else those beside
    /// this program, else those on the PATH, else the newest of the Debian layout.
    pub fn find(pgctl: Option<&Path>, pgdata: Option<&Path>) -> Result<Postgres> {
        if let Some(pgctl) = pgctl {
            let bindir = pgctl.parent().unwrap_or(Path::new("."));
            return Postgres::at(bindir)
                .ok_or_else(|| Error::config(format!("there is no pg_ctl at \"{}\"", pgctl.display())))
                .map_err(|error| {
                    error.hint("give the path of the program, such as /usr/lib/postgresql/15/bin/pg_ctl")
                });
        }
        let version = pgdata.and_then(|pgdata| std::fs::read_to_string(pgdata.join("PG_VERSION")).ok());
        let wanted = version.as_deref().map(str::trim);
        let found = candidates(pgdata, wanted).into_iter().filter_map(|bindir| Postgres::at(&bindir));
        let mut first = None;
        for postgres in found {
            if wanted.is_none_or(|wanted| wanted == postgres.major) {
                return Ok(postgres);
            }
            first.get_or_insert(postgres);
        }
        // The wrong version is still found: the caller says what it is wrong for.
        first.ok_or_else(|| {
            Error::config("found no PostgreSQL server programs (pg_ctl, initdb, postgres)")
                .hint("install PostgreSQL, or name its pg_ctl with --pgctl")
        })
    }

    /// The programs in that directory.
    pub fn at(bindir: &Path) -> Option<Postgres> {
        // A link to pg_ctl somewhere on the PATH: the others stand where it leads.
        let real = std::fs::canonicalize(bindir.join("pg_ctl")).ok()?;
        let bindir = real.parent()?.to_path_buf();
        let output = tool(bindir.join("pg_ctl")).arg("--version").output().ok()?;
        let major = major_of(&String::from_utf8_lossy(&output.stdout))?;
        Some(Postgres { bindir, major })
    }

    /// `15`, `16`, ….
    pub fn major(&self) -> &str {
        &self.major
    }

    /// The directory of the programs.
    pub fn bindir(&self) -> &Path {
        &self.bindir
    }

    /// A call of one of the programs.
    pub fn command(&self, program: &str) -> Command {
        tool(self.bindir.join(program))
    }

    /// Refuses a data directory of another version, before the server does so in its own words.
    pub fn check_version(&self, pgdata: &Path) -> Result<()> {
        let path = pgdata.join("PG_VERSION");
        let made_by = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        if made_by.trim() == self.major {
            return Ok(());
        }
        Err(Error::config(format!(
            "\"{}\" was made by PostgreSQL {}, and the programs in \"{}\" are version {}",
            pgdata.display(),
            made_by.trim(),
            self.bindir.display(),
            self.major
        ))
        .hint(format!("name the pg_ctl of version {} with --pgctl", made_by.trim())))
    }

    /// Refuses when the server could not load the library.
    pub fn check_library(&self, library: &str) -> Result<()> {
        let asked = self.command("pg_config").arg("--pkglibdir").output();
        let directory = match asked {
            Ok(output) if output.status.success() => {
                PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned())
            }
            // pg_config belongs to the development package. Without it, this is where Debian and the sources put them.
            Ok(_) | Err(_) => self.bindir.join("../lib"),
        };
        let path = directory.join(format!("{library}.so"));
        if path.exists() {
            return Ok(());
        }
        Err(Error::config(format!("the library \"{}\" is not installed", path.display()))
            .hint(format!("run: make install PG_CONFIG={}", self.bindir.join("pg_config").display())))
    }

    /// Makes a new cluster.
    pub fn initdb(&self, pgdata: &Path) -> Result<()> {
        let mut command = self.command("initdb");
        command.arg("-D").arg(pgdata).arg("--data-checksums").arg(WAL_SEGMENT);
        // Over the Unix socket the server's own OS user is let in without a password; the worker and this program are that user.
        command.arg("--auth-local=peer").arg("--auth-host=scram-sha-256");
        command.args(sync::left_to_us());
        let disks = Disks::below(pgdata.parent().unwrap_or(Path::new(".")))?;
        // It must not outlive us: it takes away what it made when it hears of an interruption, and takes its time.
        run("initdb", &mut child::wrapped(&command))?;
        disks.finish(pgdata)
    }

    /// Starts the server in the background and waits until it answers. `log` gets what it says before its log collector runs.
    pub fn start(&self, pgdata: &Path, log: &Path) -> Result<()> {
        let mut command = self.command("pg_ctl");
        command.args(["start", "-w", "-s", "-t", PATIENCE, "-D"]).arg(pgdata).arg("-l").arg(log);
        if let Some(way) = last_start::way_to_configuration(pgdata) {
            // A shell takes this apart.
            command.arg("-o").arg(format!("-c '{}'", way.replace('\'', "'\\''")));
        }
        begin_life(&mut command, pgdata, log).or_else(|error| match datadir::settled(pgdata)? {
            // An interrupted command's pg_ctl was faster.
            Some(_) => Ok(()),
            None => Err(error),
        })
    }

    /// Ends the server's life, with its sessions, and begins the next one with the same arguments and the same environment.
    pub fn restart(&self, running: &Running, pgdata: &Path, log: &Path) -> Result<()> {
        let mut command = self.command("pg_ctl");
        // An archive command may live on what the server was given.
        if let Ok(environment) = std::fs::read(format!("/proc/{}/environ", running.pid)) {
            command.env_clear();
            for entry in environment.split(|byte| *byte == 0) {
                let mut parts = entry.splitn(2, |byte| *byte == b'=');
                if let (Some(name), Some(value)) = (parts.next(), parts.next())
                    && !matches!(name, b"" | b"NOTIFY_SOCKET" | b"PG_GRANDPARENT_PID")
                {
                    command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
                }
            }
        }
        command.args(["restart", "-w", "-s", "-t", PATIENCE, "-m", "fast", "-D"]).arg(pgdata);
        command.arg("-l").arg(log);
        begin_life(&mut command, pgdata, log)
    }

    /// Stops the server, ending its sessions.
    pub fn stop(&self, pgdata: &Path) -> Result<()> {
        let mut command = self.command("pg_ctl");
        command.args(["stop", "-w", "-s", "-m", "fast", "-D"]).arg(pgdata);
        finished(&mut command).map(|_| ()).map_err(|error| {
            Error::new(Kind::PgCtl, format!("the server in \"{}\" did not stop ({error})", pgdata.display()))
        })
    }

    /// Has the server read its configuration files again.
    pub fn reload(&self, pgdata: &Path) -> Result<()> {
        finished(self.command("pg_ctl").args(["reload", "-s", "-D"]).arg(pgdata)).map(|_| ())
    }

    /// The value of a setting in the next life of the server, in its base unit, whether it runs now or not: as the
    /// configuration files give it, and for one that runs the arguments of its start.
    /// `None`: the files do not set it and the server alone does not know it.
    pub fn setting(&self, pgdata: &Path, name: &str) -> Option<String> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(pgdata);
        if datadir::running(pgdata).is_some() {
            command.args(last_start::arguments(pgdata));
        } else if let Some(way) = last_start::way_to_configuration(pgdata) {
            command.arg("-c").arg(way);
        }
        let output = command.arg("-C").arg(name).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// The value of a setting that every server knows: without an answer the files are wrong.
    pub fn known_setting(&self, pgdata: &Path, name: &str) -> Result<String> {
        self.setting(pgdata, name).ok_or_else(|| {
            let shown = pgdata.display();
            Error::config(format!("the configuration of the server in \"{shown}\" cannot be read")).hint(
                format!("this says why: {} -D {shown} -C port", self.bindir().join("postgres").display(),),
            )
        })
    }

    /// What the control file says.
    pub fn control(&self, pgdata: &Path) -> Result<Control> {
        let mut command = self.command("pg_controldata");
        let output = finished(command.arg("-D").arg(pgdata).env("LC_ALL", "C")).map_err(|error| {
            Error::state(format!("\"{}\" is no complete cluster: {error}", pgdata.display()))
                .hint("restore it from a backup, or give --pgdata another directory")
        })?;
        parse_control(&output).ok_or_else(|| {
            Error::state(format!(
                "pg_controldata says nothing about \"{}\" that we understand",
                pgdata.display()
            ))
        })
    }

    /// The settings that a standby must not have lower than the server its data come from, with that server's values: it
    /// would not start, or stop replaying. The control file knows them, wherever the configuration was kept.
    pub fn least_for_standby(&self, pgdata: &Path) -> Result<Vec<(&'static str, u64)>> {
        let mut command = self.command("pg_controldata");
        Ok(parse_least(&finished(command.arg("-D").arg(pgdata).env("LC_ALL", "C"))?))
    }

    /// A call of `pg_basebackup`, still without an address: everything into `target`, with the WAL it needs.
    pub fn basebackup(&self, target: &Path, slot: &str) -> Command {
        let mut command = self.command("pg_basebackup");
        command.arg("-D").arg(target).args([
            "-X",
            "stream",
            "--checkpoint=fast",
            "--no-password",
            "-S",
            slot,
        ]);
        command
    }
}

/// Seconds for a life of a server to end or to begin: a checkpoint of everything, a recovery from a crash.
const PATIENCE: &str = "3600";

/// A promotion copies the last segment to the new timeline and brings it to the disk before anybody can write (`XLogInitNewTimeline` in xlog.c),
/// so its size is a part of every failover; smaller ones than this cost a bulk load more than they save. docs/performance.md has figures.
const WAL_SEGMENT: &str = "--wal-segsize=4";

/// Runs pg_ctl, and finds the reason of a failure in what the server said.
fn begin_life(command: &mut Command, pgdata: &Path, log: &Path) -> Result<()> {
    let logs = log.parent().unwrap_or(log);
    let before = logs_in(logs);
    finished(command).map(|_| ()).map_err(|error| {
        let cause = reason(&written_since(&before, logs)).unwrap_or(error.message);
        let failed = format!("the server in \"{}\" did not start: {cause}", pgdata.display());
        Error::new(Kind::PgCtl, failed).hint(format!("see the logs in \"{}\"", logs.display()))
    })
}

fn candidates(pgdata: Option<&Path>, version: Option<&str>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // The first word of postmaster.opts is the server program that ran there last.
    let opts = pgdata.and_then(|pgdata| std::fs::read_to_string(pgdata.join("postmaster.opts")).ok());
    if let Some(program) = opts.as_deref().and_then(|opts| opts.split_whitespace().next()) {
        found.extend(Path::new(program).parent().map(Path::to_path_buf));
    }
    let own = std::env::current_exe().and_then(std::fs::canonicalize);
    found.extend(own.ok().and_then(|own| own.parent().map(Path::to_path_buf)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path));
    // Debian and Ubuntu keep the server's programs off the PATH, one directory a version.
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    if let Some(version) = version {
        found.push(PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    }
    found.extend(versions.into_iter().map(|(_, bindir)| bindir));
    found.retain(|bindir| bindir.join("pg_ctl").is_file());
    found
}

/// A command that the environment cannot lead elsewhere: PGHOST, PGDATA and the like never reach our children.
pub fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PG")) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end. What it said on stdout; what it said on stderr when it failed.
pub fn finished(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    run(&program, command)
}

fn run(program: &str, command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.output().map_err(|cause| Error::config(format!("could not run \"{program}\": {cause}")))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr);
    let line = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(Error::new(Kind::PgCtl, format!("{program} failed ({status}): {}", line.trim())))
}

/// What the server said last before it gave up.
fn reason(log: &str) -> Option<String> {
    let cause =
        |line| ["FATAL:", "PANIC:", "postgres: "].iter().find_map(|mark| str::split_once(line, *mark));
    Some(log.lines().rev().find_map(cause)?.1.trim().to_owned())
}

/// The logs of a server, by the time of their last change, with their lengths. More than one, for a server begins with
/// its stderr and goes on with its log collector.
fn logs_in(directory: &Path) -> Vec<(SystemTime, PathBuf, u64)> {
    let log = |entry: std::fs::DirEntry| {
        let about = entry.metadata().ok()?;
        Some((about.modified().ok()?, entry.path(), about.len()))
    };
    let mut logs: Vec<_> =
        std::fs::read_dir(directory).into_iter().flatten().flatten().filter_map(log).collect();
    logs.sort();
    logs
}

/// What was written into a directory's logs since then.
fn written_since(before: &[(SystemTime, PathBuf, u64)], directory: &Path) -> String {
    let text = |(_, path, _): (SystemTime, PathBuf, u64)| {
        let known = before.iter().find(|(_, other, _)| *other == path).map_or(0, |(_, _, length)| *length);
        let text = std::fs::read(&path).unwrap_or_default();
        let new = text.get(usize::try_from(known).ok()?..)?;
        Some(String::from_utf8_lossy(new).into_owned())
    };
    logs_in(directory).into_iter().filter_map(text).collect()
}

/// `pg_ctl (PostgreSQL) 15.20 (Debian …)` is 15; `17devel` is 17.
fn major_of(version: &str) -> Option<String> {
    let number = version.split_whitespace().nth(2)?;
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    (!major.is_empty()).then_some(major)
}

fn parse_least(text: &str) -> Vec<(&'static str, u64)> {
    const NAMES: [(&str, &str); 5] = [
        ("max_connections setting:", "max_connections"),
        ("max_worker_processes setting:", "max_worker_processes"),
        ("max_wal_senders setting:", "max_wal_senders"),
        ("max_prepared_xacts setting:", "max_prepared_transactions"),
        ("max_locks_per_xact setting:", "max_locks_per_transaction"),
    ];
    let value = |words: &str| text.lines().find_map(|line| line.strip_prefix(words)?.trim().parse().ok());
    NAMES.into_iter().filter_map(|(words, name)| Some((name, value(words)?))).collect()
}

fn parse_control(text: &str) -> Option<Control> {
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(':')?.1.trim().parse::<u64>().ok()
    };
    Some(Control {
        system_identifier: field("Database system identifier")?,
        segment_size: field("Bytes per WAL segment")?,
        timeline: Timeline(u32::try_from(field("Latest checkpoint's TimeLineID")?).ok()?),
        in_recovery: text
            .lines()
            .any(|line| line.starts_with("Database cluster state:") && line.contains("recovery")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_pg_ctl_says() {
        assert_eq!(major_of("pg_ctl (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n").as_deref(), Some("15"));
        assert_eq!(major_of("pg_ctl (PostgreSQL) 19devel\n").as_deref(), Some("19"));
        assert_eq!(major_of("").as_deref(), None);
    }

    #[test]
    fn the_reason_of_a_failed_start_is_what_was_fatal() {
        let log =
            "2026 UTC [1] LOG:  syntax error in file\n2026 UTC [1] FATAL:  it contains errors\nHINT:  x\n";
        assert_eq!(reason(log).as_deref(), Some("it contains errors"));
        assert_eq!(reason("LOG:  redirecting log output\n"), None);
    }

    #[test]
    fn control_data_is_read() {
        let text = "pg_control version number: 1300\nDatabase cluster state:               shut down in recovery\nDatabase system identifier:           7123456789012345678\n\
                    Latest checkpoint's TimeLineID:       2\nLatest checkpoint's PrevTimeLineID:   1\n\
                    Bytes per WAL segment:                16777216\n";
        let expected = Control {
            system_identifier: 7_123_456_789_012_345_678,
            segment_size: 16_777_216,
            timeline: Timeline(2),
            in_recovery: true,
        };
        assert_eq!(parse_control(text), Some(expected));
        assert_eq!(parse_control("nothing"), None);
        let text = "max_connections setting:              500\nmax_prepared_xacts setting:           0\n";
        assert_eq!(parse_least(text), [("max_connections", 500), ("max_prepared_transactions", 0)]);
    }
}
