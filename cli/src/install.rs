//! What `create monitor` and `create postgres` have in common: checks of the machine, and the configuration of a new server.
use crate::conf;
use crate::datadir;
use crate::error::{Error, Result};
use crate::hba::Access;
use crate::in_place;
use crate::postgres::Postgres;
use crate::printer::Progress;
use connection::Address;
use node_files::{StateDir, durable};
use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a server listens, and as what it is known.
#[derive(Clone, Debug)]
pub struct Place {
    /// The data directory.
    pub pgdata: PathBuf,
    /// The directory beside it.
    pub state_dir: StateDir,
    /// The addresses it listens on, as PostgreSQL's setting has them.
    pub listen: String,
    /// Its port.
    pub port: u16,
}

impl Place {
    /// Refuses a place where the server could not start.
    pub fn check(&self) -> Result<()> {
        self.check_room()?;
        let socket = self.state_dir.path().join(format!(".s.PGSQL.{}", self.port));
        // The limit of the operating system for the path of a Unix socket is 107 bytes.
        if socket.as_os_str().len() > 107 {
            return Err(Error::config(format!(
                "the path \"{}\" is too long for a Unix socket",
                self.pgdata.display()
            ))
            .hint("give --pgdata a shorter path"));
        }
        let parent = self.pgdata.parent().unwrap_or(Path::new("/"));
        let device = |path: &Path| std::fs::metadata(path).map(|about| about.dev()).ok();
        if self.pgdata.exists() && device(&self.pgdata) != device(parent) {
            return Err(Error::config(format!(
                "\"{}\" is a mount point, which no copy could ever replace",
                self.pgdata.display()
            ))
            .hint("give --pgdata a directory below it"));
        }
        for address in self.listen.split(',').map(str::trim).filter(|address| !address.is_empty()) {
            self.check_address(if address == "*" { "0.0.0.0" } else { address })?;
        }
        Ok(())
    }

    /// Refuses a place where we could not put our own files.
    pub fn check_room(&self) -> Result<()> {
        let parent = self.pgdata.parent().unwrap_or(Path::new("/"));
        let nearest = parent.ancestors().find(|directory| directory.exists()).unwrap_or(Path::new("/"));
        if nix::unistd::access(nearest, nix::unistd::AccessFlags::W_OK).is_err() {
            return Err(Error::config(format!(
                "the user {} may not write in \"{}\"",
                datadir::os_user(),
                nearest.display()
            ))
            .hint("give --pgdata a place below a directory of this user"));
        }
        Ok(())
    }

    fn check_address(&self, address: &str) -> Result<()> {
        let unknown = |cause: std::io::Error| {
            Error::config(format!("cannot listen on \"{address}\": {cause}"))
                .hint("give --listen an address of this machine, or * for all")
        };
        for address in (address, self.port).to_socket_addrs().map_err(unknown)? {
            match TcpListener::bind(address) {
                Ok(_) => {}
                Err(cause) if cause.kind() == std::io::ErrorKind::AddrInUse => {
                    return Err(Error::config(format!("port {} of {} is in use", self.port, address.ip()))
                        .hint("give another --pgport or --listen, or stop the server that uses it"));
                }
                Err(cause) => return Err(unknown(cause)),
            }
        }
        Ok(())
    }

    /// What the server says before its own log collector runs, and what the helper says.
    pub fn start_log(&self) -> PathBuf {
        self.state_dir.path().join("log").join("start.log")
    }

    /// Makes the directory beside PGDATA, with the one for logs in it.
    pub fn make_state_dir(&self) -> Result<()> {
        if let Some(parent) = self.pgdata.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        self.state_dir.create()?;
        let log = self.state_dir.path().join("log");
        std::fs::create_dir_all(&log).map_err(Error::io("create", &log))
    }

    /// A new cluster, beside its place, to be put there when it is whole: what is in the place is never half a cluster.
    pub fn make_cluster(&self, postgres: &Postgres, access: Access) -> Result<PathBuf> {
        let _progress = Progress::start(&format!("making the cluster in \"{}\"", self.pgdata.display()));
        let made = in_place::room(&self.state_dir)?;
        postgres.initdb(&made)?;
        let path = made.join("postgresql.conf");
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        durable::rewrite(&path, conf::with(&text, &wal_sizes()).as_bytes())?;
        access.begin(&made)?;
        Ok(made)
    }

    /// Writes our block into postgresql.conf of the cluster in `pgdata`.
    pub fn configure(
        &self,
        postgres: &Postgres,
        pgdata: &Path,
        library: &str,
        own: &[(&str, String)],
    ) -> Result<()> {
        let path = pgdata.join("postgresql.conf");
        // Missing in the copy of a node that keeps its configuration elsewhere.
        let text = read(&path)?.unwrap_or_default();
        let libraries = postgres.setting(pgdata, "shared_preload_libraries").unwrap_or_default();
        let mut settings = vec![
            ("listen_addresses", self.listen.clone()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", self.socket_directories()),
            ("shared_preload_libraries", conf::with_library(&libraries, library)),
            ("password_encryption", "scram-sha-256".to_owned()),
            // A peer that is gone is noticed in seconds, not in hours.
            ("tcp_keepalives_idle", "5".to_owned()),
            ("tcp_keepalives_interval", "2".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
            // Beside PGDATA: a rewind or a new copy must not replace the log that tells of it.
            ("logging_collector", "on".to_owned()),
            ("log_directory", self.state_dir.path().join("log").display().to_string()),
            ("log_filename", "postgresql-%Y-%m-%d.log".to_owned()),
        ];
        settings.extend(own.iter().cloned());
        let lines: Vec<String> = settings.iter().map(|(name, value)| conf::line(name, value)).collect();
        durable::rewrite(&path, conf::with_block(&text, &lines).as_bytes())?;
        Ok(())
    }

    /// Ours first: the keeper finds its server there, whatever else runs on this machine. The usual one too, where
    /// no other server can have the same port; with an address of its own one could, and its socket would be in the way.
    fn socket_directories(&self) -> String {
        let usual = Path::new("/var/run/postgresql");
        let mut directories = vec![self.state_dir.path()];
        if self.listen == "*" && nix::unistd::access(usual, nix::unistd::AccessFlags::W_OK).is_ok() {
            directories.push(usual);
        }
        conf::directory_list(&directories)
    }
}

/// PostgreSQL's own defaults. initdb takes them from the size of a segment, and would have a server with small ones make more checkpoints.
fn wal_sizes() -> [(&'static str, String); 2] {
    [("min_wal_size", "80MB".to_owned()), ("max_wal_size", "1GB".to_owned())]
}

/// The settings of a node that are the same on each.
pub fn node_settings() -> Vec<(&'static str, String)> {
    let fixed = [
        ("wal_level", "replica"),
        ("hot_standby", "on"),
        // So that pg_rewind can work.
        ("wal_log_hints", "on"),
        ("max_wal_senders", "10"),
        ("max_replication_slots", "10"),
        // For pg_rewind, which needs the target's own WAL back to the fork; it also copies all that its source keeps.
        ("wal_keep_size", "128MB"),
        ("wal_sender_timeout", "5s"),
        ("wal_receiver_timeout", "5s"),
        ("wal_retrieve_retry_interval", "500ms"),
    ];
    let mut settings: Vec<_> = fixed.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    if in_place::sync::at_once() {
        // After a crash or a rewind, the server brings all of PGDATA to the disk before it replays: file by file takes seconds.
        settings.push(("recovery_init_sync_method", "syncfs".to_owned()));
    }
    settings
}

fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io("read", path)(cause)),
    }
}

/// This machine's name.
pub fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// Keeps what a monitor is reached by: nothing in PostgreSQL's own configuration says it.
pub fn write_address(state_dir: &StateDir, address: &Address) -> Result<()> {
    Ok(durable::write(&address_path(state_dir), format!("{address}\n").as_bytes())?)
}

/// What the monitor is reached by.
pub fn read_address(state_dir: &StateDir) -> Result<Address> {
    let path = address_path(state_dir);
    let text = std::fs::read_to_string(&path).map_err(|cause| {
        Error::state(format!("the monitor's address is not known: \"{}\": {cause}", path.display()))
            .hint("repeat pg_autoctl create monitor with its --hostname")
    })?;
    Ok(Address::parse(text.trim())?.0)
}

fn address_path(state_dir: &StateDir) -> PathBuf {
    state_dir.path().join("address")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn place(pgdata: &Path, listen: &str, port: u16) -> Place {
        let (pgdata, state_dir) = (pgdata.to_path_buf(), StateDir::beside(pgdata));
        Place { pgdata, state_dir, listen: listen.to_owned(), port }
    }

    #[test]
    fn an_occupied_port_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        for listen in ["*", "127.0.0.1"] {
            let error = place(&directory.path().join("data"), listen, port).check().unwrap_err();
            assert_eq!(error.kind, Kind::Config);
            assert!(error.message.ends_with("is in use"), "{error}");
        }
        drop(other);
        place(&directory.path().join("data"), "127.0.0.1", port).check().unwrap();
    }

    #[test]
    fn a_path_that_no_socket_fits_in_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = place(&directory.path().join("x".repeat(100)), "127.0.0.1", 1).check().unwrap_err();
        assert!(error.message.contains("too long"), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = place(&directory.path().join("data"), "192.0.2.1", 5432).check().unwrap_err();
        assert!(error.message.contains("cannot listen"), "{error}");
    }
}
