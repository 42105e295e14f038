//! Another certificate, or none, for a server that runs: written, read again, looked at from outside, and taken back when that
//! shows something else than was asked for. Nobody is disconnected: a server uses it for the connections to come.
use crate::conf;
use crate::context::{Context, Part};
use crate::datadir;
use crate::error::{Error, Kind, Result};
use crate::hba;
use crate::install;
use crate::postgres::Postgres;
use crate::sql::Session;
use connection::{HandshakeFailure, Ssl, SslMode, handshake};
use node_files::{StateDir, durable};
use rustls::pki_types::CertificateDer;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// For the server to read its configuration.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);
/// For one look from outside.
const LIMIT: Duration = Duration::from_secs(3);

/// A server that runs, and that nobody else is changing.
pub struct Server<'a> {
    /// Its data directory.
    pub pgdata: &'a Path,
    /// Its programs.
    pub postgres: Postgres,
    /// The directory beside the data directory.
    pub state_dir: StateDir,
    /// What it is to us.
    pub part: Part,
    /// What others reach it by.
    pub hostname: String,
    /// Its port.
    pub port: u16,
    session: Session,
    _lock: File,
}

impl Server<'_> {
    /// The server that the command names.
    pub fn open(context: &Context) -> Result<Server<'_>> {
        let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
        let (part, state_dir) = (context.part(&postgres)?, context.state_dir(&postgres)?);
        let running = datadir::require_running(pgdata)?;
        let lock = datadir::lock(&state_dir)?;
        let hostname = match part {
            Part::Monitor => install::read_address(&state_dir)?.hosts().first().map(|(host, _)| host.clone()),
            Part::Node => postgres.setting(pgdata, "pg_autoctl.hostname").filter(|name| !name.is_empty()),
        };
        let hostname = hostname.ok_or_else(|| {
            Error::config("the name of this server is not known")
                .hint("set it: pg_autoctl config set pg_autoctl.hostname NAME")
        })?;
        let session = datadir::connect(&running, "postgres")
            .map_err(|failure| Error::new(Kind::Sql, failure.to_string()))?;
        Ok(Server { pgdata, postgres, state_dir, part, hostname, port: running.port, session, _lock: lock })
    }

    /// Changes these settings by a reload. What it changed is taken back when the server does not do as it is told within a while.
    pub fn change(
        &self,
        settings: &[(&'static str, String)],
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<()> {
        let path = self.postgres.setting(self.pgdata, "config_file").map(PathBuf::from);
        let path = path.unwrap_or_else(|| self.pgdata.join("postgresql.conf"));
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let mut files =
            vec![(path, text.clone().into_bytes(), conf::with_in_block(&text, settings).into_bytes())];
        if self.part == Part::Monitor
            && let Some((path, anew)) =
                hba::of_monitor_anew(&self.postgres, self.pgdata, certificate.is_some())?
        {
            let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
            files.push((path, text, anew));
        }
        for (path, _, anew) in &files {
            durable::rewrite(path, anew)?;
        }
        let Err(error) = self.reload().and_then(|()| self.wait_for(settings, certificate)) else {
            return Ok(());
        };
        for (path, before, _) in &files {
            durable::rewrite(path, before)?;
        }
        self.reload()?;
        Err(error)
    }

    fn reload(&self) -> Result<()> {
        let done = self.session.run("SELECT pg_reload_conf()");
        done.map_err(|failure| Error::new(Kind::Sql, failure.to_string()))
    }

    fn wait_for(
        &self,
        settings: &[(&'static str, String)],
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            let seen = self.overridden(settings).and_then(|()| self.shows(certificate));
            match seen {
                Err(_) if started.elapsed() < PATIENCE => std::thread::sleep(LOOK),
                other => return other,
            }
        }
    }

    /// Something else may have the last word on a setting.
    fn overridden(&self, settings: &[(&'static str, String)]) -> Result<()> {
        let asked =
            "SELECT setting, coalesce(sourcefile, source), sourceline FROM pg_settings WHERE name = $1";
        for (name, wanted) in settings {
            let read = |row: &tokio_postgres::Row| {
                Ok((
                    row.try_get::<_, String>(0)?,
                    row.try_get::<_, String>(1)?,
                    row.try_get::<_, Option<i32>>(2)?,
                ))
            };
            let present = self.session.one(asked, &[name], read);
            let (value, source, line) =
                present.map_err(|failure| Error::new(Kind::Sql, failure.to_string()))?;
            if value != *wanted {
                let line = line.map(|line| format!(" in line {line}")).unwrap_or_default();
                return Err(Error::config(format!("{name} is set to '{value}' by \"{source}\"{line}, which wins; nothing was changed"))
                    .hint("take it out there (after ALTER SYSTEM SET or config set: ALTER SYSTEM RESET), then repeat this command"));
            }
        }
        Ok(())
    }

    /// What a client would see now.
    fn shows(&self, certificate: Option<&CertificateDer<'_>>) -> Result<()> {
        let any = Ssl::of(SslMode::Require);
        // By its name; or where it listens on this machine only.
        let seen = match handshake(&self.hostname, self.port, &any, LIMIT) {
            Err(HandshakeFailure::Unreachable(_)) => handshake("127.0.0.1", self.port, &any, LIMIT),
            other => other,
        };
        let why = match (seen, certificate) {
            (Ok(seen), Some(wanted)) if seen == *wanted => return Ok(()),
            (Err(HandshakeFailure::Tls(_)), None) => return Ok(()),
            (Ok(_), Some(_)) => "still shows another certificate".to_owned(),
            (Ok(_), None) => "still speaks TLS".to_owned(),
            (Err(failure), _) => format!("does not speak TLS as it should: {failure}"),
        };
        Err(Error::state(format!("the server at {}:{} {why}; nothing was changed", self.hostname, self.port))
            .hint(format!("see its log in \"{}\"", self.state_dir.path().join("log").display())))
    }
}
