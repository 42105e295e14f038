//! What rewind and clone share: the lock on the directory, stop signals, waiting with a word now and then.
use super::child;
use crate::datadir;
use crate::postgres::Postgres;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use node_files::StateDir;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::{info, warn};

/// Between two looks at whatever is waited for.
const LOOK: Duration = Duration::from_millis(5);
/// Between two words in the log about the same thing.
const WORD: Duration = Duration::from_secs(5);

/// What asks a postmaster to stop.
const STOPS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];
/// What asks a postmaster for other things, which the next one will do by itself. Unread, they would end us.
const HARMLESS: [Signal; 3] = [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];

/// Why the helper does not start the server.
#[derive(Debug)]
pub enum Interrupted {
    /// Somebody asked the server to stop.
    Stopped,
    /// It cannot go on. What is on the disk stays as it is.
    Failed(String),
}

impl From<node_files::Error> for Interrupted {
    fn from(error: node_files::Error) -> Interrupted {
        Interrupted::Failed(error.to_string())
    }
}

impl From<crate::error::Error> for Interrupted {
    fn from(error: crate::error::Error) -> Interrupted {
        Interrupted::Failed(error.to_string())
    }
}

/// The work on one data directory.
pub struct Work {
    /// The data directory.
    pub pgdata: PathBuf,
    /// The directory beside it.
    pub state_dir: StateDir,
    /// The programs of the server that will run there.
    pub postgres: Postgres,
    signals: SignalFd,
    // Held as long as this lives: one helper per directory.
    _lock: File,
}

impl Work {
    /// Takes the lock and the signals.
    pub fn begin(pgdata: &Path, state_dir: &StateDir, server: &Path) -> Result<Work, Interrupted> {
        let lock = datadir::lock(state_dir)?;
        let watched: SigSet = STOPS.into_iter().chain(HARMLESS).collect();
        let signals = watched
            .thread_block()
            .and_then(|()| SignalFd::with_flags(&watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC))
            .map_err(|errno| Interrupted::Failed(format!("no signals can be read: {errno}")))?;
        let postgres = programs_beside(server)?;
        let (pgdata, state_dir) = (pgdata.to_path_buf(), state_dir.clone());
        Ok(Work { pgdata, state_dir, postgres, signals, _lock: lock })
    }

    /// Fails when somebody has asked the server to stop.
    pub fn go_on(&self) -> Result<(), Interrupted> {
        loop {
            match self.signals.read_signal() {
                Ok(None) => return Ok(()),
                Ok(Some(signal)) if STOPS.iter().any(|stop| *stop as u32 == signal.ssi_signo) => {
                    return Err(Interrupted::Stopped);
                }
                Ok(Some(_)) => {}
                Err(errno) => return Err(Interrupted::Failed(format!("no signals can be read: {errno}"))),
            }
        }
    }

    /// Asks `try_it` again and again until it has something, with `pause` in between.
    pub fn until<T>(
        &self,
        pause: Duration,
        mut try_it: impl FnMut() -> Result<T, String>,
    ) -> Result<T, Interrupted> {
        let mut said: Option<(String, Instant)> = None;
        loop {
            self.go_on()?;
            match try_it() {
                Ok(value) => return Ok(value),
                Err(why) => {
                    let news = said.as_ref().is_none_or(|(last, at)| *last != why || at.elapsed() >= WORD);
                    if news {
                        info!("{why}");
                        said = Some((why, Instant::now()));
                    }
                }
            }
            self.pause(pause)?;
        }
    }

    /// Sleeps, unless a stop comes.
    pub fn pause(&self, how_long: Duration) -> Result<(), Interrupted> {
        let end = Instant::now() + how_long;
        while Instant::now() < end {
            self.go_on()?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Runs a program to its end, with a word every few seconds. A stop ends it first.
    pub fn run(&self, command: &Command, word: impl Fn() -> String) -> Result<Heard, Interrupted> {
        let program = Path::new(command.get_program()).to_path_buf();
        let mut wrapped = child::wrapped(command);
        wrapped.stderr(Stdio::piped());
        let mut child = wrapped.spawn().map_err(|cause| failed("run", &program, &cause))?;
        let said = child.stderr.take().map(|stderr| std::thread::spawn(|| pass_on(stderr)));
        let mut last_word = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|cause| failed("wait for", &program, &cause))? {
                break status;
            }
            if let Err(stopped) = self.go_on() {
                end(&mut child);
                return Err(stopped);
            }
            if last_word.elapsed() >= WORD {
                info!("{}", word());
                last_word = Instant::now();
            }
            std::thread::sleep(LOOK);
        };
        let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
        Ok(Heard { status, said })
    }
}

/// The programs that came with a server.
pub fn programs_beside(server: &Path) -> Result<Postgres, Interrupted> {
    let bindir = server.parent().unwrap_or(Path::new("/"));
    Postgres::at(bindir)
        .ok_or_else(|| Interrupted::Failed(format!("there is no pg_ctl in \"{}\"", bindir.display())))
}

/// What became of a program.
pub struct Heard {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on stderr; it is in the log as well.
    pub said: String,
}

fn pass_on(from: impl Read) -> String {
    let mut said = String::new();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        said.push_str(&line);
        said.push('\n');
    }
    said
}

/// A place of its own to keep `what` in, named by the time of day. Nothing there is ever deleted by us.
pub fn aside(state_dir: &StateDir, what: &str) -> Result<PathBuf, Interrupted> {
    const NAME: &[BorrowedFormatItem<'_>] =
        format_description!(version = 2, "[year][month][day]T[hour][minute][second].[subsecond digits:3]");
    let aside = state_dir.aside();
    std::fs::create_dir_all(&aside).map_err(|cause| failed("create", &aside, &cause))?;
    loop {
        let now = OffsetDateTime::now_utc().format(NAME);
        let now = now.map_err(|cause| Interrupted::Failed(format!("the clock cannot be read: {cause}")))?;
        let place = aside.join(format!("{now}-{what}"));
        if !place.exists() {
            return Ok(place);
        }
    }
}

/// What the operating system refused.
pub fn failed(doing: &str, path: &Path, cause: &std::io::Error) -> Interrupted {
    Interrupted::Failed(format!("could not {doing} \"{}\": {cause}", path.display()))
}

/// The lock file names us, for we are the postmaster's PID. When no server follows, `pg_ctl stop` must not go on waiting for one.
pub fn remove_own_lock_file(pgdata: &Path) {
    let path = pgdata.join("postmaster.pid");
    let own = std::fs::read_to_string(&path)
        .is_ok_and(|text| text.lines().next().map(str::trim) == Some(&std::process::id().to_string()));
    if own && let Err(cause) = std::fs::remove_file(&path) {
        warn!("could not remove \"{}\": {cause}", path.display());
    }
}

/// Asks the child to end, and waits until it has. One that will not is killed.
fn end(child: &mut Child) {
    let patience = Instant::now() + Duration::from_secs(3);
    if let Ok(pid) = i32::try_from(child.id()) {
        // Gone already is as good.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM);
    }
    while Instant::now() < patience {
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        std::thread::sleep(LOOK);
    }
    let _ = child.kill();
    let _ = child.wait();
}
