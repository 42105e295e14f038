//! What stands in a data directory, and how to reach the server that runs there.
use crate::error::{Error, Result};
use crate::printer::Progress;
use crate::sql::{Failure, Session};
use connection::Target;
use node_files::{StateDir, durable};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio_postgres::Config;

/// Between two looks at a server on its way.
const LOOK: Duration = Duration::from_millis(50);
/// For a server to come up or go down: a recovery takes its time.
const PATIENCE: Duration = Duration::from_secs(300);

/// What stands at the path of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Missing,
    /// An empty directory.
    Empty,
    /// A database cluster.
    Cluster,
    /// Something else, which is not ours to touch.
    Other,
}

/// The server that runs on a data directory, as its lock file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The postmaster.
    pub pid: u32,
    /// Its port.
    pub port: u16,
    /// The directory of its first Unix socket.
    pub socket: PathBuf,
}

/// Looks without touching anything.
pub fn inspect(pgdata: &Path) -> Result<Content> {
    let entries = match std::fs::read_dir(pgdata) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Content::Missing),
        Err(error) => {
            let unreadable = format!("cannot read the directory \"{}\": {error}", pgdata.display());
            return Err(
                Error::config(unreadable).hint("give --pgdata a directory that this user may read and write")
            );
        }
    };
    if pgdata.join("PG_VERSION").exists() {
        return Ok(Content::Cluster);
    }
    // A file system made for the purpose has a lost+found of its own.
    let foreign = entries.flatten().any(|entry| entry.file_name() != "lost+found");
    Ok(if foreign { Content::Other } else { Content::Empty })
}

/// Refuses a directory that holds something else than a database.
pub fn not_a_database(pgdata: &Path) -> Error {
    Error::state(format!("\"{}\" is not empty and is no PostgreSQL data directory", pgdata.display()))
        .hint("give --pgdata a new or empty directory; nothing was changed")
}

/// One program at a time makes or replaces a data directory: the one that holds this.
pub fn lock(state_dir: &StateDir) -> Result<File> {
    let path = state_dir.lock();
    let lock = File::create(&path).map_err(Error::io("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let busy = format!("another pg_autoctl is at work on it (it holds \"{}\")", path.display());
            Err(Error::state(busy).hint("wait until it has ended"))
        }
        Err(TryLockError::Error(cause)) => Err(Error::io("lock", &path)(cause)),
    }
}

/// Puts a directory that is whole in the place of PGDATA, which is missing or empty.
pub fn put_in_place(made: &Path, pgdata: &Path) -> Result<()> {
    std::fs::rename(made, pgdata).map_err(|cause| {
        Error::config(format!("could not move \"{}\" to \"{}\": {cause}", made.display(), pgdata.display()))
            .hint("a mount point cannot be replaced: give --pgdata a directory below it")
    })?;
    durable::sync_parent(pgdata).map_err(Error::io("save", pgdata))
}

/// The server that runs there, if one does.
pub fn running(pgdata: &Path) -> Option<Running> {
    let running = parse_lock_file(&std::fs::read_to_string(pgdata.join("postmaster.pid")).ok()?)?;
    (alive(running.pid) && works_in(running.pid, pgdata)).then_some(running)
}

/// The server that runs there, once it has come up or gone down: an interrupted command leaves one on its way.
pub fn settled(pgdata: &Path) -> Result<Option<Running>> {
    let started = Instant::now();
    let mut progress = None;
    loop {
        let text = std::fs::read_to_string(pgdata.join("postmaster.pid")).unwrap_or_default();
        let pid = text.lines().next().and_then(|pid| pid.trim().parse().ok());
        if !pid.is_some_and(|pid| alive(pid) && works_in(pid, pgdata)) {
            return Ok(None);
        }
        let status = text.lines().nth(7).unwrap_or_default().trim();
        if matches!(status, "ready" | "standby") {
            return match parse_lock_file(&text) {
                Some(running) => Ok(Some(running)),
                None => Err(Error::config(format!(
                    "the server in \"{}\" has no Unix socket, by which it is managed",
                    pgdata.display()
                ))
                .hint("set unix_socket_directories, restart it, and repeat this command")),
            };
        }
        if started.elapsed() >= PATIENCE {
            return Err(Error::state(format!(
                "the server in \"{}\" has been {} for {} s",
                pgdata.display(),
                if status.is_empty() { "starting" } else { status },
                PATIENCE.as_secs()
            ))
            .hint("see its log, and repeat this command when it is up"));
        }
        let what = || Progress::start(&format!("waits for the server in \"{}\"", pgdata.display()));
        progress.get_or_insert_with(what);
        std::thread::sleep(LOOK);
    }
}

/// Refuses when no server runs there.
pub fn require_running(pgdata: &Path) -> Result<Running> {
    running(pgdata).ok_or_else(|| {
        Error::state(format!("no server runs in \"{}\"", pgdata.display()))
            .hint(format!("start it: pg_ctl start -D {}", pgdata.display()))
    })
}

/// Opens a session over the server's own Unix socket, as the user we are.
pub fn connect(running: &Running, database: &str) -> std::result::Result<Session, Failure> {
    let mut config = Config::new();
    config.host_path(&running.socket).port(running.port).dbname(database).user(os_user());
    Session::open(&Target::local(config))
}

/// The name of the user we run as.
pub fn os_user() -> String {
    user_name(nix::unistd::geteuid())
}

/// The name of a user, or its number when it has none.
pub fn user_name(uid: nix::unistd::Uid) -> String {
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => uid.to_string(),
    }
}

/// Lines of postmaster.pid: PID, directory, start, port, socket directory, ….
fn parse_lock_file(text: &str) -> Option<Running> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let socket = lines.get(4).filter(|socket| !socket.is_empty())?;
    Some(Running {
        pid: lines.first()?.parse().ok()?,
        port: lines.get(3)?.parse().ok()?,
        socket: PathBuf::from(socket),
    })
}

/// A server works in its data directory. After a crash of the machine its number may be another program's.
fn works_in(pid: u32, pgdata: &Path) -> bool {
    let directory = std::fs::read_link(format!("/proc/{pid}/cwd"));
    match (directory, std::fs::canonicalize(pgdata)) {
        (Ok(directory), Ok(pgdata)) => directory == pgdata,
        // Somebody else's process: it cannot be told.
        (_, _) => true,
    }
}

/// A process that runs. One that is dead and not yet reaped does not.
fn alive(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state follows the name, which stands in brackets and may hold anything.
    !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_told_by_what_stands_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let pgdata = parent.path().join("data");
        assert_eq!(inspect(&pgdata).unwrap(), Content::Missing);
        std::fs::create_dir(&pgdata).unwrap();
        assert_eq!(inspect(&pgdata).unwrap(), Content::Empty);
        std::fs::create_dir(pgdata.join("lost+found")).unwrap();
        assert_eq!(inspect(&pgdata).unwrap(), Content::Empty);
        std::fs::write(pgdata.join("photo.jpg"), "").unwrap();
        assert_eq!(inspect(&pgdata).unwrap(), Content::Other);
        std::fs::write(pgdata.join("PG_VERSION"), "15\n").unwrap();
        assert_eq!(inspect(&pgdata).unwrap(), Content::Cluster);
    }

    #[test]
    fn the_lock_file_says_where_the_socket_is() {
        let text = "4242\n/srv/data\n1700000000\n5433\n/srv/data.autoctl\n127.0.0.1\n 123 456\nready   \n";
        let running = parse_lock_file(text).unwrap();
        assert_eq!((running.pid, running.port), (4242, 5433));
        assert_eq!(running.socket, Path::new("/srv/data.autoctl"));
        assert_eq!(parse_lock_file("4242\n/srv/data\n1700000000\n5433\n"), None);
    }

    #[test]
    fn the_living_are_told_from_the_dead() {
        assert!(alive(std::process::id()));
        assert!(!alive(u32::MAX));
    }
}
