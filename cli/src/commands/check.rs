//! `config check`: what would be in the way, now or at the next failover. It changes nothing.
use crate::context::{Context, KEEPER_LIBRARY, MONITOR_LIBRARY, Part};
use crate::datadir::{self, Running};
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::postgres::Postgres;
use crate::sql::Failure;
use crate::view::{Finding, NodeState, View};
use fsm::units::Millis;
use node_files::{Secrets, StateDir};
use std::net::ToSocketAddrs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// What was found so far, and where it looks.
struct Check<'a> {
    context: &'a Context,
    pgdata: &'a Path,
    postgres: Postgres,
    findings: Vec<Finding>,
}

/// Looks at everything that the server, its node and its monitor need of each other.
pub fn run(context: &Context) -> Result<View> {
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    postgres.check_version(pgdata)?;
    let mut check = Check { context, pgdata, postgres, findings: Vec::new() };
    match context.part(&check.postgres) {
        // Without that nothing else can be known.
        Err(unreadable) => check.found_error("configuration", unreadable),
        Ok(part) => check.server(part)?,
    }
    Ok(View::Findings(check.findings))
}

impl Check<'_> {
    fn found(&mut self, about: &'static str, cause: impl Into<String>, next: impl Into<String>) {
        self.findings.push(Finding { about, cause: cause.into(), next: next.into() });
    }

    fn found_error(&mut self, about: &'static str, error: Error) {
        let next = error.hint.clone().unwrap_or_else(|| "see the server's log".to_owned());
        self.found(about, error.to_string(), next);
    }

    fn setting(&self, name: &str) -> String {
        self.postgres.setting(self.pgdata, name).unwrap_or_default()
    }

    fn server(&mut self, part: Part) -> Result<()> {
        let library = if part == Part::Monitor { MONITOR_LIBRARY } else { KEEPER_LIBRARY };
        if let Err(missing) = self.postgres.check_library(library) {
            self.found_error("library", missing);
        }
        let state_dir = self.context.state_dir(&self.postgres)?;
        self.permissions(&state_dir);
        match datadir::running(self.pgdata) {
            None => {
                let start = format!("start it: pg_ctl start -D {}", self.pgdata.display());
                self.found("server", "it does not run", start);
            }
            Some(running) => {
                if let Err(failure) = self.files_as_it_reads_them(&running) {
                    let see = format!("see its log in \"{}\"", state_dir.path().join("log").display());
                    self.found("server", format!("it does not answer: {failure}"), see);
                }
            }
        }
        match part {
            Part::Monitor => self.monitor(),
            Part::Node => self.node(&state_dir),
        }
        Ok(())
    }

    /// What the running server finds wrong with its own files, and what waits for a restart.
    fn files_as_it_reads_them(&mut self, running: &Running) -> std::result::Result<(), Failure> {
        let session = datadir::connect(running, "postgres")?;
        let wrong = "SELECT sourcefile || ' line ' || sourceline, error FROM pg_file_settings \
                     WHERE error IS NOT NULL AND error <> 'setting could not be applied' \
                     UNION ALL SELECT 'pg_hba.conf line ' || line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL";
        for row in session.query(wrong, &[])? {
            let (place, error): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            self.found("configuration", format!("{place}: {error}"), "correct it, then pg_autoctl reload");
        }
        let waiting = "SELECT coalesce(string_agg(name, ', ' ORDER BY name), '') FROM pg_settings WHERE pending_restart";
        let waiting: String = session.one(waiting, &[], |row| row.try_get(0))?;
        if !waiting.is_empty() {
            let restart = format!("restart it when that suits: pg_ctl restart -D {}", self.pgdata.display());
            self.found(
                "configuration",
                format!("changed, but not in force before a restart: {waiting}"),
                restart,
            );
        }
        Ok(())
    }

    /// Secrets are the server's user's, and nobody else's.
    fn permissions(&mut self, state_dir: &StateDir) {
        let me = nix::unistd::geteuid().as_raw();
        let files = [
            (state_dir.path().to_path_buf(), "700"),
            (state_dir.secrets(), "600"),
            (state_dir.passfile(), "600"),
        ];
        for (path, mode) in files {
            let Ok(about) = std::fs::metadata(&path) else { continue };
            if about.permissions().mode() & 0o077 != 0 {
                let cause = format!("others may read \"{}\"", path.display());
                self.found("secrets", cause, format!("run: chmod {mode} {}", path.display()));
            }
            if about.uid() != me {
                let cause = format!("\"{}\" is not owned by {}", path.display(), datadir::os_user());
                self.found("secrets", cause, format!("run: chown {} {}", datadir::os_user(), path.display()));
            }
        }
    }

    fn monitor(&mut self) {
        match self.context.open_monitor() {
            Err(error) => self.found_error("monitor", error),
            Ok((monitor, _)) => {
                self.policy(&monitor, None);
                for formation in monitor.formations().unwrap_or_default() {
                    self.names(&monitor.states(&formation, None).unwrap_or_default());
                }
            }
        }
    }

    /// Times that contradict each other, between the monitor's settings and with the node's.
    fn policy(&mut self, monitor: &Monitor, heartbeat: Option<Millis>) {
        let policy = match monitor.policy() {
            Ok(policy) => policy,
            Err(error) => return self.found_error("monitor", error),
        };
        if let Err(cause) = policy.check() {
            self.found("monitor", cause, "correct it on the monitor: pg_autoctl config set pgautofailover.…");
        }
        if let Some(heartbeat) = heartbeat.filter(|heartbeat| heartbeat.0 * 2 > policy.lease.0) {
            let cause = format!(
                "pg_autoctl.heartbeat_period ({heartbeat} ms) is more than half of the monitor's lease ({} ms): \
                 one late answer fences the primary",
                policy.lease
            );
            self.found("node", cause, "lower it: pg_autoctl config set pg_autoctl.heartbeat_period 1s");
        }
    }

    fn node(&mut self, state_dir: &StateDir) {
        self.helper();
        self.first_library();
        if let Err(damaged) = Secrets::read(state_dir) {
            self.found_error("secrets", damaged.into());
        }
        self.replication_settings();
        let own = match self.context.node_state(&self.postgres) {
            Ok(own) => own,
            Err(error) => return self.found_error("node", error),
        };
        match self.context.open_monitor() {
            Err(error) => self.found_error("monitor", error),
            Ok((monitor, _)) => {
                let heartbeat = millis(&self.setting("pg_autoctl.heartbeat_period"));
                self.policy(&monitor, heartbeat);
                match monitor.states(&own.formation, Some(own.group)) {
                    Err(error) => self.found_error("monitor", error),
                    Ok(nodes) => self.among(&nodes, &own),
                }
            }
        }
    }

    /// Callbacks at the end of a transaction run in the reverse order of loading (xact.c, `CallXactCallbacks`): the first library
    /// has the last word before the commit record.
    fn first_library(&mut self) {
        let libraries = self.setting("shared_preload_libraries");
        let first = libraries.split(',').next().unwrap_or_default().trim().trim_matches('"');
        if first != KEEPER_LIBRARY {
            let cause = format!(
                "{first} is loaded before {KEEPER_LIBRARY}: what it writes at the very end of a transaction is not fenced"
            );
            let next =
                format!("put {KEEPER_LIBRARY} first in shared_preload_libraries, and restart the server");
            self.found("library", cause, next);
        }
    }

    /// The node as the monitor knows it, and room for the others.
    fn among(&mut self, nodes: &[NodeState], own: &node_files::State) {
        match nodes.iter().find(|node| node.node_id == own.node.0) {
            None => self.found(
                "node",
                format!(
                    "the monitor does not know node {} in group {} of {}",
                    own.node, own.group, own.formation
                ),
                "it was dropped, or pg_autoctl.monitor names another monitor: pg_autoctl show state there",
            ),
            Some(known) => {
                let (host, port) = (self.setting("pg_autoctl.hostname"), self.setting("port"));
                if known.nodehost != host || known.nodeport.to_string() != port {
                    let cause = format!(
                        "the monitor knows it at {}:{}, and its settings say {host}:{port}",
                        known.nodehost, known.nodeport
                    );
                    self.found(
                        "node",
                        cause,
                        "make both the same, or standbys and clients look for it in vain",
                    );
                }
            }
        }
        let others = nodes.iter().filter(|node| node.node_id != own.node.0).count();
        for (name, least) in [("max_wal_senders", others + 2), ("max_replication_slots", others)] {
            let value = self.setting(name);
            if value.parse::<usize>().is_ok_and(|value| value < least) {
                let cause = format!("{name} = {value} is too few for {others} other nodes");
                self.found(
                    "configuration",
                    cause,
                    format!("set it to {least} or more, and restart the server"),
                );
            }
        }
        self.names(nodes);
    }

    /// Every address that nodes look for each other by.
    fn names(&mut self, nodes: &[NodeState]) {
        for node in nodes {
            let port = u16::try_from(node.nodeport).unwrap_or_default();
            if let Err(cause) = (node.nodehost.as_str(), port).to_socket_addrs() {
                let cause = format!(
                    "the host \"{}\" of {} cannot be resolved: {cause}",
                    node.nodehost, node.nodename
                );
                self.found("network", cause, "add it to the name service or to /etc/hosts, on every node");
            }
        }
    }

    /// What replication and pg_rewind need, and what would make promises empty.
    fn replication_settings(&mut self) {
        const WANTED: [(&str, &[&str], &str); 5] = [
            ("wal_level", &["replica", "logical"], "no standby can follow"),
            ("hot_standby", &["on"], "a standby could not be asked anything"),
            ("fsync", &["on"], "a crash of the machine would lose acknowledged commits"),
            ("full_page_writes", &["on"], "pg_rewind and a crash of the machine need it"),
            ("synchronous_commit", &["on", "remote_apply"], "commits would not wait for the standbys"),
        ];
        for (name, fits, why) in WANTED {
            let value = self.setting(name);
            if !value.is_empty() && !fits.contains(&value.as_str()) {
                self.found(
                    "configuration",
                    format!("{name} = {value}: {why}"),
                    format!("set it to {}", fits[0]),
                );
            }
        }
    }

    /// Without it no change of role works that needs a restart in place.
    fn helper(&mut self) {
        let set = self.setting("pg_autoctl.helper");
        let path = if set.is_empty() { self.postgres.bindir().join("pg_autoctl") } else { set.into() };
        let usable = std::fs::metadata(&path).is_ok_and(|about| about.is_file() && about.mode() & 0o111 != 0);
        if !usable {
            self.found(
                "helper",
                format!("there is no program at \"{}\"", path.display()),
                "install pg_autoctl there, or set pg_autoctl.helper to where it is",
            );
        }
    }
}

/// A duration as PostgreSQL shows it.
fn millis(text: &str) -> Option<Millis> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        _ => return None,
    };
    digits.parse::<u64>().ok().map(|number| Millis(number * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, expected) in [("1s", 1_000), ("250ms", 250), ("50", 50), ("1min", 60_000)] {
            assert_eq!(millis(text), Some(Millis(expected)), "{text}");
        }
        assert_eq!(millis("soon"), None);
    }
}
