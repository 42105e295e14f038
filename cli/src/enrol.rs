//! Makes a registered node: its directory, its configuration, and the files by which it knows who it is.
//!
//! Every step can be repeated. The identity inside PGDATA is written last but the start: without it the directory is
//! no node yet, and a repeated command begins it anew.
use crate::adopt::{self, Before};
use crate::conf;
use crate::context::KEEPER_LIBRARY;
use crate::datadir::{self, Content};
use crate::error::{Error, Kind, Result};
use crate::hba::Access;
use crate::in_place;
use crate::install::{self, Place};
use crate::last_start;
use crate::monitor::Monitor;
use crate::postgres::Postgres;
use crate::printer::Progress;
use crate::ssl_options::{ServerSsl, Source};
use crate::standby;
use connection::Address;
use fsm::message::{Assignment, Report, Upstream};
use fsm::password::Password;
use fsm::rule::standby_name;
use fsm::state::State;
use fsm::units::{NodeId, Term};
use node_files::{Identity, Phase, Secrets, WriterToken, boots, durable};
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two questions whether the upstream is ready.
const LOOK: Duration = Duration::from_millis(200);
/// For the upstream to let the copy begin: it makes the slot and the access rules for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings that a copy must not take over from the node it was copied from.
const OWN_SETTINGS: [&str; 26] = [
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "pg_autoctl.rule_number",
    "default_transaction_read_only",
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "log_directory",
    "pg_autoctl.monitor",
    "pg_autoctl.formation",
    "pg_autoctl.group",
    "pg_autoctl.name",
    "pg_autoctl.hostname",
    "pg_autoctl.state_dir",
    "pg_autoctl.helper",
    "pg_autoctl.local_user",
    "pg_autoctl.skip_pg_hba",
    "ssl",
    "ssl_cert_file",
    "ssl_key_file",
    "ssl_ca_file",
    "ssl_crl_file",
    "pg_autoctl.ssl_mode",
    "pg_autoctl.ssl_ca_file",
    "pg_autoctl.ssl_crl_file",
];

/// A node in the making.
pub struct Enrolment<'a> {
    /// Where.
    pub place: &'a Place,
    /// With which programs.
    pub postgres: &'a Postgres,
    /// Its monitor.
    pub monitor: &'a Monitor,
    /// Where that is.
    pub address: &'a Address,
    /// And what opens it.
    pub password: Option<String>,
    /// Its formation.
    pub formation: &'a str,
    /// What others reach it by.
    pub hostname: String,
    /// Who may connect to it.
    pub access: Access,
    /// What it shows and asks of TLS.
    pub ssl: ServerSsl,
    /// Settings that were asked for by name; an adopted cluster keeps its own else.
    pub asked_for: Vec<(&'static str, String)>,
}

impl Enrolment<'_> {
    /// The first node of a group, with a new cluster.
    pub fn become_first(&self, node: NodeId, group: i32, name: &str) -> Result<()> {
        let Place { pgdata, state_dir, .. } = self.place;
        self.place.make_state_dir()?;
        let _lock = datadir::lock(state_dir)?;
        let made = self.place.make_cluster(self.postgres, self.access)?;
        self.configure(&made, group, name)?;
        let identity = self.first_identity(&made, node, group)?;
        identity.write(&made)?;
        datadir::put_in_place(&made, pgdata)
    }

    /// The first node of a group, with the cluster that is there. It may be running, and changes in its next life.
    pub fn adopt_first(&self, node: NodeId, group: i32, name: &str) -> Result<Before> {
        let Place { pgdata, state_dir, .. } = self.place;
        self.place.make_state_dir()?;
        let _lock = datadir::lock(state_dir)?;
        let identity = self.first_identity(pgdata, node, group)?;
        identity.write(pgdata)?;
        self.configure_adopted(group, name)
    }

    /// A running standby of the primary becomes one in our way, in its next life. Nothing is copied: the caller has made
    /// sure that it streams from the primary, and must look again (`still_follows`) once the monitor has named whom to follow.
    pub fn adopt_standby(
        &self,
        node: NodeId,
        group: i32,
        name: &str,
        still_follows: impl Fn(&Upstream) -> Result<()>,
    ) -> Result<Before> {
        let Place { pgdata, state_dir, .. } = self.place;
        let progress = Progress::start("waits for the primary to make room for a standby");
        let (assignment, upstream) = self.wait_for_upstream(node)?;
        drop(progress);
        still_follows(&upstream)?;
        self.place.make_state_dir()?;
        let _lock = datadir::lock(state_dir)?;
        self.keep_secrets(assignment.replication_password, assignment.monitor_password)?;
        let identity = Identity::of(node);
        self.standby_state(&identity, pgdata, group, assignment.term, &upstream)?;
        identity.write(pgdata)?;
        // In force with the restart: until then it follows as it did.
        standby::follow(pgdata, state_dir, &upstream.peer, &self.ssl.asks, &standby_name(node))?;
        self.configure_adopted(group, name)
    }

    /// The configuration of a cluster that is not of our making, for its next life.
    pub fn configure_adopted(&self, group: i32, name: &str) -> Result<Before> {
        let mut own = self.own_settings(group, name);
        own.extend(self.asked_for.iter().cloned());
        match self.ssl.source {
            Source::SelfSigned | Source::Given(_) => {
                own.extend(self.ssl.server_settings(&self.place.state_dir, &self.hostname)?);
            }
            // It has what it needs; and without TLS among the nodes its clients may still use it.
            Source::Kept(_) | Source::Nowhere => {}
        }
        adopt::configure(self.postgres, &self.place.pgdata, KEEPER_LIBRARY, &own)
    }

    /// What a first node knows of itself, beside the directory that it is for. Leaves of an earlier node may stand there.
    fn first_identity(&self, cluster: &Path, node: NodeId, group: i32) -> Result<Identity> {
        let state_dir = &self.place.state_dir;
        Phase::clear(state_dir)?;
        self.keep_secrets(None, None)?;
        let identity = Identity::of(node);
        let mut state = node_files::State::enrolled(&identity, self.formation, group);
        state.system_identifier = self.postgres.control(cluster)?.system_identifier;
        state.goal = State::Single;
        state.write(state_dir)?;
        // The monitor has recorded this node as the writer of its group: its first life may be one.
        boots::begin(state_dir, cluster)?;
        WriterToken::grant_next(state_dir, cluster, &identity.token)?;
        Ok(identity)
    }

    /// A further node: a copy of the one that the monitor names, as soon as that one is ready for it.
    pub fn become_standby(&self, node: NodeId, group: i32, name: &str) -> Result<()> {
        let Place { pgdata, state_dir, .. } = self.place;
        let mut progress = Progress::start("waits for the primary to make room for a standby");
        let (assignment, upstream) = self.wait_for_upstream(node)?;
        self.place.make_state_dir()?;
        let _lock = datadir::lock(state_dir)?;
        let replaces = datadir::inspect(pgdata)? == Content::Cluster;
        if replaces {
            in_place::can_replace(pgdata, state_dir)?;
        }
        self.keep_secrets(assignment.replication_password, assignment.monitor_password)?;
        let slot = standby_name(node);
        let copy = self.copy(&upstream, &slot, &mut progress)?;
        let elsewhere = replaces && last_start::way_to_configuration(pgdata).is_some();
        forget_source(&copy)?;
        if elsewhere {
            leave_configuration_elsewhere(pgdata, &copy)?;
        } else {
            self.configure(&copy, group, name)?;
            adopt::equal_to_source(self.postgres, &copy)?;
        }
        let identity = Identity::of(node);
        self.standby_state(&identity, &copy, group, assignment.term, &upstream)?;
        standby::follow(&copy, state_dir, &upstream.peer, &self.ssl.asks, &slot)?;
        identity.write(&copy)?;
        if !replaces {
            return datadir::put_in_place(&copy, pgdata);
        }
        let kept = in_place::replace(pgdata, &copy, state_dir)?;
        progress.line(&format!("the directory that was there is kept in \"{}\"", kept.display()));
        if elsewhere {
            self.configure_adopted(group, name)?;
        }
        Ok(())
    }

    fn standby_state(
        &self,
        identity: &Identity,
        cluster: &Path,
        group: i32,
        term: Term,
        upstream: &Upstream,
    ) -> Result<()> {
        let mut state = node_files::State::enrolled(identity, self.formation, group);
        state.system_identifier = self.postgres.control(cluster)?.system_identifier;
        state.role = State::CatchingUp;
        state.goal = State::CatchingUp;
        state.term = term;
        state.history = upstream.term;
        state.upstream = Some(upstream.clone());
        Phase::clear(&self.place.state_dir)?;
        boots::begin(&self.place.state_dir, cluster)?;
        Ok(state.write(&self.place.state_dir)?)
    }

    /// Reports what there is to report until the monitor names whom to copy.
    fn wait_for_upstream(&self, node: NodeId) -> Result<(Assignment, Upstream)> {
        let report = Report::of(node, State::WaitStandby);
        let started = Instant::now();
        loop {
            let assignment = self.monitor.report(&report)?;
            if assignment.goal == State::CatchingUp
                && assignment.replication_password.is_some()
                && let Some(upstream) = &assignment.upstream
            {
                let upstream = upstream.clone();
                return Ok((assignment, upstream));
            }
            if started.elapsed() >= PATIENCE * 5 {
                return Err(Error::state(format!(
                    "the primary has not made room for node {node} within {} s",
                    PATIENCE.as_secs() * 5
                ))
                .hint("see pg_autoctl show state, and repeat this command: it goes on from here"));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The copy, in its place beside PGDATA. The upstream lets us in as soon as it has heard of us itself.
    fn copy(&self, upstream: &Upstream, slot: &str, progress: &mut Progress) -> Result<std::path::PathBuf> {
        let from =
            format!("copies node {} at {}:{}", upstream.peer.node, upstream.peer.host, upstream.peer.port);
        progress.now(&from);
        let started = Instant::now();
        loop {
            let mut told = 0;
            let copied = in_place::fetch(
                self.postgres,
                &self.place.state_dir,
                &upstream.peer,
                &self.ssl.asks,
                slot,
                |bytes| {
                    // Each further 64 MB is news.
                    if bytes >> 26 > told {
                        told = bytes >> 26;
                        progress.now(&format!("{from}, {} MB so far", bytes >> 20));
                    }
                },
            );
            match copied {
                Err(error) if error.kind == Kind::PgCtl && started.elapsed() < PATIENCE => {
                    progress.now(&format!("{error}; tries again"));
                    std::thread::sleep(LOOK * 5);
                }
                other => return other,
            }
        }
    }

    fn configure(&self, pgdata: &Path, group: i32, name: &str) -> Result<()> {
        let mut settings = install::node_settings();
        settings.extend(self.own_settings(group, name));
        settings.extend(self.ssl.server_settings(&self.place.state_dir, &self.hostname)?);
        if !pgdata.join("pg_hba.conf").exists() {
            self.access.begin(pgdata)?;
        }
        self.place.configure(self.postgres, pgdata, KEEPER_LIBRARY, &settings)?;
        self.access.finish_node(self.postgres, pgdata)
    }

    /// What tells this node from the others.
    fn own_settings(&self, group: i32, name: &str) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("pg_autoctl.monitor", self.address.to_string()),
            ("pg_autoctl.formation", self.formation.to_owned()),
            ("pg_autoctl.group", group.to_string()),
            ("pg_autoctl.name", name.to_owned()),
            ("pg_autoctl.hostname", self.hostname.clone()),
        ];
        settings.extend(self.ssl.node_settings());
        if self.access.skip_pg_hba {
            settings.push(("pg_autoctl.skip_pg_hba", "on".to_owned()));
        }
        // Beside the server's programs the library finds us by itself, and does so after an upgrade too.
        if let Ok(own) = std::env::current_exe().and_then(std::fs::canonicalize)
            && own.parent() != std::fs::canonicalize(self.postgres.bindir()).ok().as_deref()
        {
            settings.push(("pg_autoctl.helper", own.display().to_string()));
        }
        settings
    }

    fn keep_secrets(
        &self,
        replication_password: Option<Password>,
        monitor_password: Option<Password>,
    ) -> Result<()> {
        let mut secrets = Secrets { monitor_password: self.password.clone(), ..Secrets::default() };
        // One that is not in force yet: what was typed stays beside it.
        if let Some(password) = monitor_password {
            secrets.take_monitor_password(password);
        }
        if let Some(password) = replication_password {
            secrets.take_replication_password(password);
        }
        Ok(secrets.write(&self.place.state_dir)?)
    }
}

/// What `ALTER SYSTEM` has set on the node that was copied, and is that node's own.
fn forget_source(copy: &Path) -> Result<()> {
    let path = copy.join("postgresql.auto.conf");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    Ok(durable::write(&path, conf::without(&text, &OWN_SETTINGS).as_bytes())?)
}

/// The copy is started with the configuration of the directory that it replaces: its own would stand in the way.
fn leave_configuration_elsewhere(pgdata: &Path, copy: &Path) -> Result<()> {
    for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"] {
        durable::remove(&copy.join(name))?;
    }
    let path = pgdata.join("postmaster.opts");
    let arguments = std::fs::read(&path).map_err(Error::io("read", &path))?;
    Ok(durable::write(&copy.join("postmaster.opts"), &arguments)?)
}

/// The address of this machine on the way to the monitor. Nothing is sent.
pub fn own_address(monitor: &Address) -> Result<String> {
    let found = monitor.hosts().iter().find_map(|(host, port)| {
        let any = if host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect((host.as_str(), *port)).ok()?;
        Some(socket.local_addr().ok()?.ip().to_string())
    });
    found.ok_or_else(|| {
        Error::config("this machine's address cannot be found out")
            .hint("say --hostname with the name or address that other nodes reach it by")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use connection::Ssl;

    #[test]
    fn the_way_to_the_monitor_tells_our_address() {
        assert_eq!(own_address(&Address::of("127.0.0.1", 5432, Ssl::default())).unwrap(), "127.0.0.1");
    }
}
