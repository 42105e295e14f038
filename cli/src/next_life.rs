//! The one restart by which a running server becomes a node: who makes it, and how.
use crate::adopt::{self, Before};
use crate::context::KEEPER_LIBRARY;
use crate::datadir::{self, Running};
use crate::error::{Error, Result};
use crate::live::Live;
use crate::postgres::Postgres;
use node_files::StateDir;
use std::path::{Path, PathBuf};
use tracing::{info, warn};

/// Who restarts the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// This program.
    We,
    /// Its operator, with this command. Why.
    Operator {
        /// To type.
        command: String,
        /// Why not we.
        why: &'static str,
    },
}

/// Who must restart the server. A service manager takes a server that ends under its hands for failed.
pub fn who(running: &Running, pgdata: &Path, postgres: &Postgres, asked_not_to: bool) -> Who {
    let by_unit = |unit: &str| format!("systemctl restart {unit}");
    let unit = service(&cgroup(running.pid), &cgroup(std::process::id()));
    let by_hand =
        || format!("{} restart -D {}", postgres.bindir().join("pg_ctl").display(), pgdata.display());
    if let Some(unit) = unit {
        return Who::Operator { command: by_unit(&unit), why: "its service manager must do it" };
    }
    if running.pid == 1 {
        return Who::Operator {
            command: "restart its container".to_owned(),
            why: "the server is its container's first process",
        };
    }
    if asked_not_to {
        return Who::Operator { command: by_hand(), why: "--no-restart was given" };
    }
    Who::We
}

/// Restarts it. When the new life cannot begin, the configuration goes back to what it was, and the old one begins again.
pub fn begin(
    running: &Running,
    pgdata: &Path,
    state_dir: &StateDir,
    postgres: &Postgres,
    before: &Before,
) -> Result<()> {
    let log = log_of(running).unwrap_or_else(|| state_dir.path().join("log").join("start.log"));
    info!(
        "restarting the server in \"{}\" once, to load our library: its clients are disconnected for a moment",
        pgdata.display()
    );
    let Err(error) = postgres.restart(running, pgdata, &log) else { return Ok(()) };
    if let Some(now) = datadir::settled(pgdata)? {
        // An interrupted command's pg_ctl was faster.
        let is_node = adopt::names(&Live::look(&now)?.libraries, KEEPER_LIBRARY);
        return if is_node { Ok(()) } else { Err(error) };
    }
    warn!("{error}; starting it as it was");
    before.restore()?;
    // A restart of a server that is down starts it, with the arguments that it had.
    postgres.restart(running, pgdata, &log)?;
    Err(Error { message: format!("{}; it runs again as it was", error.message), ..error })
}

/// The file that the server's own words went to.
fn log_of(running: &Running) -> Option<PathBuf> {
    let target = std::fs::read_link(format!("/proc/{}/fd/2", running.pid)).ok()?;
    target.is_file().then_some(target)
}

/// The control groups of a process; empty when they cannot be told.
fn cgroup(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default()
}

/// The unit of systemd that the server belongs to and we do not.
fn service(theirs: &str, ours: &str) -> Option<String> {
    let line = theirs.lines().find(|line| line.starts_with("0::") || line.contains(":name=systemd:"))?;
    if ours.lines().any(|own| own == line) {
        return None;
    }
    let unit = line.rsplit('/').find(|part| part.ends_with(".service"))?;
    // Of a user's own services systemd shows the one that runs them all, too.
    (!unit.starts_with("user@")).then(|| unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_the_server_is_found() {
        let ours = "0::/user.slice/user-1000.slice/session-3.scope\n";
        let debian = "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n";
        assert_eq!(service(debian, ours).as_deref(), Some("postgresql@15-main.service"));
        let old = "12:pids:/x\n1:name=systemd:/system.slice/postgresql-15.service\n";
        assert_eq!(service(old, "1:name=systemd:/user.slice\n").as_deref(), Some("postgresql-15.service"));
    }

    #[test]
    fn a_server_that_nobody_manages_has_no_unit() {
        let shell = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/tmux.scope\n";
        assert_eq!(service(shell, "0::/system.slice/ssh.service\n"), None);
        assert_eq!(service("0::/\n", "0::/\n"), None);
        let same = "0::/system.slice/cron.service\n";
        assert_eq!(service(same, same), None);
        assert_eq!(service("", ""), None);
    }
}
