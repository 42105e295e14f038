//! Writers: each repeats one kind of operation, and keeps each with what became of it.
use super::history::{Kind, Operation, Outcome, Work};
use super::load::Shared;
use crate::deadlines::WRITE;
use crate::session::{Session, SqlError};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;

/// Between two operations of one writer.
const PACE: Duration = Duration::from_millis(8);
/// Before a writer tries to connect again.
const RETRY: Duration = Duration::from_millis(10);
/// The same after no answer, for all but the plain ones: each has left a backend behind that waits.
const AFTER_SILENCE: Duration = Duration::from_secs(2);

/// All counters as one text.
pub const COUNTERS: &str = "SELECT string_agg(writer || ':' || value, ',') FROM chaos_register";

/// A writer until the load ends.
pub fn write(shared: &Shared, config: &Config, writer: usize, kind: Kind) -> Work {
    let mut author = Author { writer, kind, operations: Vec::new(), next: 0, prepared: None };
    while shared.goes_on() {
        match Session::open(config) {
            Ok(session) => {
                if author.work(shared, &session).is_err_and(|error| error.code.is_none())
                    && kind != Kind::Plain
                {
                    thread::sleep(AFTER_SILENCE);
                }
            }
            Err(_) => thread::sleep(RETRY),
        }
    }
    author.leave();
    Work { writer, kind, operations: author.operations }
}

/// The name of a prepared transaction.
pub fn gid(writer: usize, number: i64) -> String {
    format!("chaos_{writer}_{number}")
}

/// Counters as [`COUNTERS`] returns them.
pub fn counters(text: &str) -> BTreeMap<usize, i64> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once(':'));
    pairs.filter_map(|(writer, value)| Some((writer.parse().ok()?, value.parse().ok()?))).collect()
}

struct Author {
    writer: usize,
    kind: Kind,
    operations: Vec<Operation>,
    next: i64,
    prepared: Option<Prepared>,
}

/// A prepared transaction that must be ended yet.
struct Prepared {
    number: i64,
    started: Instant,
    /// PREPARE was acknowledged: it can be committed from now on, whatever happens.
    acknowledged: bool,
}

impl Author {
    /// Until something goes wrong.
    fn work(&mut self, shared: &Shared, session: &Session) -> Result<(), SqlError> {
        if self.kind == Kind::Asynchronous {
            session.rows("SET synchronous_commit = off", WRITE)?;
        }
        while shared.goes_on() {
            if self.kind == Kind::Prepared {
                self.prepare_and_commit(session)?;
            } else {
                self.attempt(shared, session)?;
            }
            thread::sleep(PACE);
        }
        Ok(())
    }

    fn attempt(&mut self, shared: &Shared, session: &Session) -> Result<(), SqlError> {
        let (number, started) = (self.number(), Instant::now());
        let answer = session.rows(&self.statement(number), WRITE);
        let outcome = outcome(&answer);
        if outcome == Outcome::Acknowledged && self.kind == Kind::Plain {
            shared.note(Instant::now());
        }
        let returned =
            answer.as_ref().ok().and_then(|rows| rows.first()?.first()?.clone()).unwrap_or_default();
        self.keep(number, started, outcome, counters(&returned));
        answer.map(drop)
    }

    fn statement(&self, number: i64) -> String {
        let writer = self.writer;
        match self.kind {
            Kind::Plain | Kind::Asynchronous => {
                format!("INSERT INTO chaos_row VALUES ({writer}, {number}, 1)")
            }
            Kind::Several => {
                let parts = |from, to| insert(writer, number, from..=to);
                format!("BEGIN; {}; {}; COMMIT", parts(1, 3), parts(4, 4))
            }
            Kind::Register => format!(
                "UPDATE chaos_register SET value = value + 1 WHERE writer = {writer} RETURNING writer || ':' || value"
            ),
            Kind::Audit => format!("{} RETURNING ({COUNTERS})", insert(writer, number, 1..=1)),
            Kind::Prepared => format!(
                "BEGIN; {}; PREPARE TRANSACTION '{}'",
                insert(writer, number, 1..=2),
                gid(writer, number)
            ),
        }
    }

    /// First ends what an earlier session has left.
    fn prepare_and_commit(&mut self, session: &Session) -> Result<(), SqlError> {
        self.end_prepared(session)?;
        let (number, started) = (self.number(), Instant::now());
        let answer = session.rows(&self.statement(number), WRITE);
        match outcome(&answer) {
            Outcome::Refused => self.keep(number, started, Outcome::Refused, BTreeMap::new()),
            Outcome::Acknowledged => self.prepared = Some(Prepared { number, started, acknowledged: true }),
            Outcome::Unknown => self.prepared = Some(Prepared { number, started, acknowledged: false }),
        }
        answer?;
        self.end_prepared(session)
    }

    /// One that was acknowledged is committed; what became of any other is unknown, so it is rolled back where it is there.
    fn end_prepared(&mut self, session: &Session) -> Result<(), SqlError> {
        let Some(Prepared { number, started, acknowledged }) = self.prepared else { return Ok(()) };
        let (verb, done, gone) = if acknowledged {
            // Gone: an earlier attempt without an answer has committed it. If nobody did, it is missed in the end.
            ("COMMIT", Outcome::Acknowledged, Outcome::Acknowledged)
        } else {
            ("ROLLBACK", Outcome::Refused, Outcome::Unknown)
        };
        let outcome = match session.rows(&format!("{verb} PREPARED '{}'", gid(self.writer, number)), WRITE) {
            Ok(_) => done,
            Err(error) if error.code.as_deref() == Some(SqlState::UNDEFINED_OBJECT.code()) => gone,
            Err(error) => return Err(error),
        };
        self.keep(number, started, outcome, BTreeMap::new());
        self.prepared = None;
        Ok(())
    }

    /// What is prepared when the load ends is ended by whoever looks at the end, as its outcome says.
    fn leave(&mut self) {
        if let Some(Prepared { number, started, acknowledged }) = self.prepared.take() {
            let outcome = if acknowledged { Outcome::Acknowledged } else { Outcome::Unknown };
            self.keep(number, started, outcome, BTreeMap::new());
        }
    }

    fn number(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    fn keep(&mut self, number: i64, started: Instant, outcome: Outcome, counters: BTreeMap<usize, i64>) {
        let (writer, ended) = (self.writer, Instant::now());
        self.operations.push(Operation { writer, number, started, ended, outcome, counters });
    }
}

fn insert(writer: usize, number: i64, parts: std::ops::RangeInclusive<i32>) -> String {
    let rows: Vec<String> = parts.map(|part| format!("({writer}, {number}, {part})")).collect();
    format!("INSERT INTO chaos_row VALUES {}", rows.join(", "))
}

fn outcome<T>(answer: &Result<T, SqlError>) -> Outcome {
    match answer {
        Ok(_) => Outcome::Acknowledged,
        Err(error) if error.is_read_only() => Outcome::Refused,
        Err(_) => Outcome::Unknown,
    }
}
