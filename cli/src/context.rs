//! From what was typed to what is meant, once: which directory, which monitor, which formation.
use crate::args::Common;
use crate::datadir;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::postgres::Postgres;
use crate::render::Format;
use crate::ssl_options::NODE_SETTINGS;
use connection::{Address, Ssl};
use node_files::{Identity, Secrets, State, StateDir};
use std::path::{Path, PathBuf};

/// The library of a monitor.
pub const MONITOR_LIBRARY: &str = "pgautofailover";
/// The library of a node.
pub const KEEPER_LIBRARY: &str = "pg_autoctl";

/// What every command may ask.
pub struct Context {
    pgdata: Option<PathBuf>,
    monitor: Option<String>,
    formation: Option<String>,
    group: Option<i32>,
    pgctl: Option<PathBuf>,
    /// How to show what there is to show.
    pub format: Format,
}

/// What a data directory is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The monitor's.
    Monitor,
    /// A node's.
    Node,
}

/// Whose nodes a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The formation; `None`: all.
    pub formation: Option<String>,
    /// The group; `None`: all.
    pub group: Option<i32>,
}

impl Context {
    /// Takes what was typed.
    pub fn new(common: Common) -> Result<Context> {
        let absolute = |path: PathBuf| -> Result<PathBuf> {
            // Without a slash at its end, for the state directory takes its name from it.
            let absolute = std::path::absolute(&path).map_err(Error::io("find", &path))?;
            Ok(absolute.components().collect())
        };
        let given = |text: &String| !text.is_empty();
        Ok(Context {
            pgdata: common.pgdata.filter(|path| !path.as_os_str().is_empty()).map(absolute).transpose()?,
            monitor: common.monitor.filter(given),
            formation: common.formation,
            group: common.group,
            pgctl: common.pgctl,
            format: if common.json { Format::Json } else { Format::Text },
        })
    }

    /// The data directory; every command on a server needs one.
    pub fn pgdata(&self) -> Result<&Path> {
        self.pgdata.as_deref().ok_or_else(|| {
            Error::arguments("no data directory is given").hint("say --pgdata DIRECTORY, or set PGDATA")
        })
    }

    /// The data directory, when one was named.
    pub fn named_pgdata(&self) -> Option<&Path> {
        self.pgdata.as_deref()
    }

    /// The data directory, in which a cluster must stand.
    pub fn cluster(&self) -> Result<&Path> {
        let pgdata = self.pgdata()?;
        match datadir::inspect(pgdata)? {
            datadir::Content::Cluster => Ok(pgdata),
            datadir::Content::Missing | datadir::Content::Empty | datadir::Content::Other => {
                Err(Error::state(format!("\"{}\" is no PostgreSQL data directory", pgdata.display()))
                    .hint("correct --pgdata, or make one with pg_autoctl create"))
            }
        }
    }

    /// The programs of PostgreSQL.
    pub fn postgres(&self) -> Result<Postgres> {
        Postgres::find(self.pgctl.as_deref(), self.pgdata.as_deref())
    }

    /// What was typed for the monitor.
    pub fn named_monitor(&self) -> Option<&str> {
        self.monitor.as_deref()
    }
    /// The formation that was typed.
    pub fn named_formation(&self) -> Option<&str> {
        self.formation.as_deref()
    }
    /// The formation that was typed, or the one that is always there.
    pub fn formation(&self) -> &str {
        self.formation.as_deref().unwrap_or("default")
    }
    /// The group that was typed.
    pub fn group(&self) -> Option<i32> {
        self.group
    }

    /// What the data directory is to us.
    pub fn part(&self, postgres: &Postgres) -> Result<Part> {
        let pgdata = self.cluster()?;
        let libraries = postgres.known_setting(pgdata, "shared_preload_libraries")?;
        let loads = |library| libraries.split(',').any(|name| name.trim().trim_matches('"') == library);
        match (loads(MONITOR_LIBRARY), loads(KEEPER_LIBRARY)) {
            (true, _) => Ok(Part::Monitor),
            (false, true) => Ok(Part::Node),
            (false, false) => Err(Error::state(format!(
                "\"{}\" is neither a monitor nor a node: its server loads neither {MONITOR_LIBRARY} nor {KEEPER_LIBRARY}",
                pgdata.display()
            ))
            .hint("make one of it with pg_autoctl create")),
        }
    }

    /// The monitor that the command is about, and what it is about there: what was typed; else what the data directory is.
    pub fn open_monitor(&self) -> Result<(Monitor, Scope)> {
        if let Some(text) = self.named_monitor() {
            let (address, password) = Address::parse(text)?;
            let password = password.or_else(|| address.password_from_environment());
            return Ok((Monitor::open(&address, password.as_deref())?, self.scope()));
        }
        if self.pgdata.is_none() {
            return Err(Error::arguments("neither a data directory nor a monitor is given").hint(
                "say --pgdata DIRECTORY (or set PGDATA), or --monitor URI (or set PG_AUTOCTL_MONITOR)",
            ));
        }
        let postgres = self.postgres()?;
        match self.part(&postgres)? {
            Part::Monitor => {
                let running = datadir::require_running(self.cluster()?)?;
                Ok((Monitor::local(&running)?, self.scope()))
            }
            Part::Node => {
                let (address, state_dir) = (self.node_monitor(&postgres)?, self.state_dir(&postgres)?);
                let kept = Secrets::read(&state_dir)?;
                let mut passwords: Vec<String> = kept.monitor_passwords().map(str::to_owned).collect();
                if passwords.is_empty() {
                    passwords.extend(address.password_from_environment());
                }
                let monitor = Monitor::open_with(&address, &passwords)?;
                let own = self.node_state(&postgres)?;
                let formation = self.formation.clone().unwrap_or(own.formation);
                Ok((
                    monitor,
                    Scope { formation: Some(formation), group: Some(self.group.unwrap_or(own.group)) },
                ))
            }
        }
    }

    /// Where the node's monitor is, by its settings.
    pub fn node_monitor(&self, postgres: &Postgres) -> Result<Address> {
        let pgdata = self.cluster()?;
        let text = postgres.setting(pgdata, "pg_autoctl.monitor").filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| {
            Error::config(format!("pg_autoctl.monitor is not set in \"{}\"", pgdata.display()))
                .hint("set it: pg_autoctl config set pg_autoctl.monitor postgres://autoctl_node@HOST:PORT/pg_auto_failover")
        })?;
        Ok(Address::parse(&text)?.0)
    }

    /// What the node asks of TLS when it connects to another one, by its settings.
    pub fn node_ssl(&self, postgres: &Postgres) -> Result<Ssl> {
        let pgdata = self.cluster()?;
        let mut ssl = Ssl::default();
        for (setting, parameter) in NODE_SETTINGS.into_iter().zip(["sslmode", "sslrootcert", "sslcrl"]) {
            if let Some(value) = postgres.setting(pgdata, setting) {
                ssl.take(parameter, &value)?;
            }
        }
        Ok(ssl)
    }

    /// The directory beside the data directory.
    pub fn state_dir(&self, postgres: &Postgres) -> Result<StateDir> {
        let pgdata = self.pgdata()?;
        let set = postgres.setting(pgdata, "pg_autoctl.state_dir").filter(|path| !path.is_empty());
        // A relative one is PGDATA's, as with PostgreSQL's own settings.
        Ok(set.map_or_else(|| StateDir::beside(pgdata), |path| StateDir::at(pgdata.join(path))))
    }

    /// What the node remembers of itself.
    pub fn node_state(&self, postgres: &Postgres) -> Result<State> {
        let pgdata = self.cluster()?;
        let identity = Identity::read(pgdata)?.ok_or_else(|| {
            Error::state(format!("\"{}\" is not enrolled in any group", pgdata.display()))
                .hint("enrol it with pg_autoctl create postgres")
        })?;
        Ok(State::read_of(&self.state_dir(postgres)?, &identity)?)
    }

    fn scope(&self) -> Scope {
        Scope { formation: self.formation.clone(), group: self.group }
    }
}

impl Scope {
    /// The one formation that a command is about: the one that was named, or the one that is always there.
    pub fn known_formation(&self, monitor: &Monitor) -> Result<String> {
        let one =
            Scope { formation: Some(self.formation.as_deref().unwrap_or("default").to_owned()), group: None };
        one.formations(monitor)?.pop().ok_or_else(|| Error::state("the monitor has no formation"))
    }

    /// The formations it covers, which the monitor has.
    pub fn formations(&self, monitor: &Monitor) -> Result<Vec<String>> {
        let known = monitor.formations()?;
        let named = match (&self.formation, self.group) {
            (Some(formation), _) => formation,
            // A group's number says nothing without its formation.
            (None, Some(_)) => "default",
            (None, None) => return Ok(known),
        };
        if known.iter().any(|formation| formation == named) {
            return Ok(vec![named.to_owned()]);
        }
        Err(Error::state(format!("the monitor has no formation \"{named}\""))
            .hint(format!("it has: {}", known.join(", "))))
    }
}
