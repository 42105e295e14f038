//! The one connection to the monitor: reports out, assignments in, and a channel on which the monitor calls.
use crate::gucs;
use crate::session::{KEEPER, Session, SqlError};
use crate::shared::clock;
use connection::{Address, Target, liveness};
use fsm::message::{Assignment, Report};
use node_files::{Secrets, StateDir};
use std::fmt;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Statement;

const CONNECT_LIMIT: Duration = Duration::from_millis(1500);
/// After that long another attempt is made beside those that are under way: a packet that was lost at the beginning of a connection
/// is sent again only after a second, and one that was sent into a cut not before the pause has grown as long as the cut.
const BESIDE: Duration = Duration::from_millis(400);
/// So many are under way at most.
const ATTEMPTS: u32 = 4;
/// No answer is waited for any longer, nor longer than a lease: once that is over there is nothing that a late answer could save, and a
/// new connection is heard as soon as a cut is mended, an old one only when its next repetition is due.
const ANSWER_LIMIT: Duration = Duration::from_millis(2000);
/// SQLSTATE of a password that is not the role's.
const WRONG_PASSWORD: &str = "28P01";
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why the monitor was not told, or what it said is of no use.
#[derive(Debug)]
pub enum LinkError {
    /// The settings do not say where the monitor is.
    Setting(String),
    /// It cannot be reached, or refuses.
    Sql(SqlError),
    /// Its answer makes no sense.
    Answer(String),
    /// It was tried a moment ago.
    Pausing,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Setting(why) => f.write_str(why),
            LinkError::Sql(error) => {
                write!(
                    f,
                    "the monitor cannot be told: {error}; check that it runs and that pg_autoctl.monitor names it"
                )
            }
            LinkError::Answer(why) => write!(f, "the monitor's answer cannot be understood: {why}"),
            LinkError::Pausing => f.write_str("the monitor cannot be reached"),
        }
    }
}

/// An answer, and when its question left.
pub struct Heard {
    /// What to do.
    pub assignment: Assignment,
    /// CLOCK_BOOTTIME in nanoseconds just before the report was sent: leases count from here.
    pub sent_at: u64,
}

struct Open {
    session: Session,
    report: Statement,
    channel: String,
}

/// The connection and the pauses between attempts to make it.
pub struct MonitorLink {
    open: Option<Open>,
    next_attempt: Instant,
    pause: Duration,
    answer_limit: Duration,
}

impl MonitorLink {
    /// Not connected yet.
    pub fn new() -> MonitorLink {
        MonitorLink {
            open: None,
            next_attempt: Instant::now(),
            pause: FIRST_PAUSE,
            answer_limit: ANSWER_LIMIT,
        }
    }

    /// Sends a report and waits for the assignment.
    pub async fn tell(&mut self, report: &Report, dir: &StateDir) -> Result<Heard, LinkError> {
        let text = serde_json::to_string(report).map_err(|error| LinkError::Answer(error.to_string()))?;
        let mut open = match self.open.take().filter(|open| !open.session.is_closed()) {
            Some(open) => open,
            None => self.connect(dir).await?,
        };
        let sent_at = clock::boottime_ns();
        let statement = open.report.clone();
        let answer = open
            .session
            .ask(self.answer_limit, async |client| {
                client.query_one(&statement, &[&text]).await?.try_get::<_, String>(0)
            })
            .await;
        // After a refusal the session is good for the next report; otherwise it is dropped here.
        let text = match answer {
            Ok(text) => text,
            Err(refusal @ SqlError::Refused { .. }) => {
                self.open = Some(open);
                return Err(LinkError::Sql(refusal));
            }
            Err(broken @ (SqlError::Broken(_) | SqlError::Late(_) | SqlError::Starting)) => {
                return Err(LinkError::Sql(broken));
            }
        };
        let assignment: Assignment =
            serde_json::from_str(&text).map_err(|error| LinkError::Answer(error.to_string()))?;
        if assignment.channel != open.channel {
            listen(&mut open, &assignment.channel).await.map_err(LinkError::Sql)?;
        }
        self.answer_limit =
            assignment.lease.map_or(ANSWER_LIMIT, |lease| ANSWER_LIMIT.min(Duration::from_millis(lease.0)));
        self.open = Some(open);
        Ok(Heard { assignment, sent_at })
    }

    /// Returns when the monitor calls or the connection ends: both are reasons to report. Without a connection, never.
    pub async fn called(&mut self) {
        let Some(open) = &mut self.open else { return std::future::pending().await };
        if open.session.notification().await.is_err() {
            self.open = None;
        }
    }

    /// Ends the connection, so that the next report uses the settings of now.
    pub fn reconnect(&mut self) {
        self.open = None;
        self.next_attempt = Instant::now();
        self.pause = FIRST_PAUSE;
    }

    async fn connect(&mut self, dir: &StateDir) -> Result<Open, LinkError> {
        let (address, passwords) = access(dir)?;
        if Instant::now() < self.next_attempt {
            return Err(LinkError::Pausing);
        }
        let opened = match race(&address, &passwords, ATTEMPTS).await {
            Ok(mut session) => session
                .ask(ANSWER_LIMIT, async |client| {
                    client.prepare("SELECT pgautofailover.keeper_report($1)").await
                })
                .await
                .map(|report| Open { session, report, channel: String::new() }),
            Err(error) => Err(error),
        };
        match opened {
            Ok(open) => {
                self.pause = FIRST_PAUSE;
                Ok(open)
            }
            Err(error) => {
                if matches!(error, SqlError::Late(_)) {
                    // It has taken its time already.
                    self.pause = FIRST_PAUSE;
                }
                self.next_attempt = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Err(LinkError::Sql(error))
            }
        }
    }

    /// When the next attempt to connect may be made; nothing while there is a connection.
    pub fn next_attempt(&self) -> Option<Instant> {
        self.open.is_none().then_some(self.next_attempt)
    }
}

/// The first of several attempts that ends, well or not.
async fn race(address: &Address, passwords: &[String], attempts: u32) -> Result<Session, SqlError> {
    let mut first = pin!(open_session(address, passwords));
    tokio::select! {
        ended = &mut first => return ended,
        () = tokio::time::sleep(BESIDE), if attempts > 1 => {}
    }
    tokio::select! {
        ended = first => ended,
        ended = Box::pin(race(address, passwords, attempts - 1)) => ended,
    }
}

/// Between the hand-out of a new password and the moment from which the monitor accepts it, it still wants the one before.
async fn open_session(address: &Address, passwords: &[String]) -> Result<Session, SqlError> {
    let mut newest = None;
    for password in passwords {
        match Session::open(&target(address, Some(password)), CONNECT_LIMIT).await {
            Err(SqlError::Refused { code, message }) if code == WRONG_PASSWORD => {
                newest.get_or_insert(SqlError::Refused { code, message });
            }
            other => return other,
        }
    }
    match newest {
        Some(refused) => Err(refused),
        None => Session::open(&target(address, None), CONNECT_LIMIT).await,
    }
}

async fn listen(open: &mut Open, channel: &str) -> Result<(), SqlError> {
    let quoted = channel.replace('"', "\"\"");
    if !channel.is_empty() {
        let command = format!("LISTEN \"{quoted}\"");
        open.session.ask(ANSWER_LIMIT, async |client| client.batch_execute(&command).await).await?;
    }
    channel.clone_into(&mut open.channel);
    Ok(())
}

/// Where the monitor is, by the settings; and the passwords that may open it, newest first, by the file that only we read.
fn access(dir: &StateDir) -> Result<(Address, Vec<String>), LinkError> {
    let Some(uri) = gucs::monitor() else {
        return Err(LinkError::Setting(
            "pg_autoctl.monitor is not set; give it the connection string of the monitor".to_owned(),
        ));
    };
    // The parser's error does not show the string.
    let (address, _) = Address::parse(&uri).map_err(|error| {
        LinkError::Setting(format!(
            "pg_autoctl.monitor is of no use: {}; correct it and reload",
            error.in_full()
        ))
    })?;
    let secrets = Secrets::read(dir).map_err(|error| LinkError::Setting(error.to_string()))?;
    Ok((address, secrets.monitor_passwords().map(str::to_owned).collect()))
}

fn target(address: &Address, password: Option<&str>) -> Target {
    let mut target = address.target(password);
    target.config.application_name(KEEPER).connect_timeout(CONNECT_LIMIT);
    liveness::apply(&mut target.config, "-c search_path=pg_catalog");
    target
}
