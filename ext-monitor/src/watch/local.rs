//! The worker's own connection to its own server: opened once, opened again when it broke.
use crate::{gucs, pg};
use pgrx::prelude::*;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Statement};

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Doubled with each failure, for PostgreSQL logs each one: the monitor's database may not be made yet.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
const TRY_AGAIN_AT_LAST: Duration = Duration::from_secs(32);
/// Search path pinned; and no evaluation may wait for ever behind a transaction that somebody left open.
const OPTIONS: &str = "-c search_path=pg_catalog,pg_temp -c lock_timeout=2s -c statement_timeout=4s -c default_transaction_isolation=read\\ committed";

/// The connection, when it stands.
pub struct Local {
    open: Option<Open>,
    next_try: Instant,
    patience: Duration,
    is_new: bool,
    last_complaint: String,
}

struct Open {
    client: Client,
    evaluate: Statement,
    driver: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Local {
    /// Not connected yet.
    pub fn new() -> Local {
        Local {
            open: None,
            next_try: Instant::now(),
            patience: TRY_AGAIN_AFTER,
            is_new: false,
            last_complaint: String::new(),
        }
    }

    /// It was opened since the last [`Local::wake_up`].
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The next call connects if need be, however often that failed before.
    pub fn try_at_once(&mut self) {
        self.next_try = Instant::now();
    }

    /// Evaluates a group. False: not now.
    pub async fn evaluate(&mut self, serial: i32, ask: bool) -> bool {
        let Some(open) = self.connected().await else { return false };
        let outcome = timeout(ANSWER_WITHIN, open.client.execute(&open.evaluate, &[&serial, &ask])).await;
        self.note(outcome)
    }

    /// Brings board and tables together. False: not now.
    pub async fn wake_up(&mut self) -> bool {
        let done = self.call("SELECT pgautofailover.wake_up()").await;
        self.is_new &= !done;
        done
    }

    /// Makes events of what was refused. What is not told now stays noted.
    pub async fn tell_refusals(&mut self) {
        self.call("SELECT pgautofailover.tell_refusals()").await;
    }

    /// Deletes at most `most` events that are too old; how many. None: not now.
    pub async fn prune_events(&mut self, most: i64) -> Option<i64> {
        let open = self.connected().await?;
        let arguments: &[&(dyn ToSql + Sync)] = &[&most];
        let query = open.client.query_one("SELECT pgautofailover.prune_events($1)", arguments);
        let outcome = timeout(ANSWER_WITHIN, query).await;
        let pruned = outcome.as_ref().ok().and_then(|row| row.as_ref().ok()?.try_get(0).ok());
        if self.note(outcome) { pruned } else { None }
    }

    async fn call(&mut self, query: &str) -> bool {
        let Some(open) = self.connected().await else { return false };
        let nothing: &[&(dyn ToSql + Sync)] = &[];
        let outcome = timeout(ANSWER_WITHIN, open.client.execute(query, nothing)).await;
        self.note(outcome)
    }

    async fn connected(&mut self) -> Option<&Open> {
        if self.open.as_ref().is_some_and(|open| open.client.is_closed()) {
            self.open = None;
        }
        if self.open.is_none() && Instant::now() >= self.next_try {
            match timeout(CONNECT_WITHIN, connect()).await {
                Ok(Ok(open)) => {
                    self.open = Some(open);
                    self.is_new = true;
                    self.last_complaint.clear();
                }
                Ok(Err(error)) => self.failed(&error),
                Err(_) => self.complain("the monitor's own server does not answer on its Unix socket"),
            }
            let failed = self.open.is_none();
            self.patience = if failed { (self.patience * 2).min(TRY_AGAIN_AT_LAST) } else { TRY_AGAIN_AFTER };
            self.next_try = Instant::now() + self.patience;
        }
        self.open.as_ref()
    }

    /// True when it went well. An ERROR of the server leaves the connection open; everything else closes it.
    fn note<T>(
        &mut self,
        outcome: Result<Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>,
    ) -> bool {
        match outcome {
            Ok(Ok(_)) => {
                self.last_complaint.clear();
                return true;
            }
            Ok(Err(error)) => {
                if error.as_db_error().is_none() {
                    self.open = None;
                }
                self.failed(&error);
            }
            Err(_) => {
                self.open = None;
                self.complain("an evaluation did not end in time");
            }
        }
        false
    }

    /// Says what went wrong, unless it is only that nobody has made the monitor's database yet.
    fn failed(&mut self, error: &tokio_postgres::Error) {
        let not_made_yet = error.code().is_some_and(|code| {
            let expected = [
                SqlState::INVALID_CATALOG_NAME,
                SqlState::INVALID_SCHEMA_NAME,
                SqlState::UNDEFINED_FUNCTION,
                SqlState::CANNOT_CONNECT_NOW,
            ];
            expected.contains(code)
        });
        if not_made_yet {
            self.open = None;
            return;
        }
        let cause = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        self.complain(&cause);
    }

    /// Once for each new reason.
    fn complain(&mut self, cause: &str) {
        if self.last_complaint != cause {
            log!("the monitor's worker cannot have a group evaluated: {cause}; it goes on trying");
            cause.clone_into(&mut self.last_complaint);
        }
    }
}

async fn connect() -> Result<Open, tokio_postgres::Error> {
    let (directory, port) = pg::own_address();
    let mut config = Config::new();
    match directory {
        Some(directory) => config.host_path(directory),
        // Without Unix sockets there is only TCP; pg_hba.conf must let it in.
        None => config.host("127.0.0.1"),
    };
    config
        .port(port)
        .dbname(gucs::database())
        .user(gucs::local_user().or_else(pg::os_user).unwrap_or_else(|| "postgres".into()))
        .application_name("pgautofailover monitor worker")
        .options(OPTIONS);
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::task::spawn(async move {
        // How it ended is seen by whoever waits for an answer.
        let _ = connection.await;
    });
    let evaluate = client.prepare("SELECT pgautofailover.evaluate($1, $2)").await;
    match evaluate {
        Ok(evaluate) => Ok(Open { client, evaluate, driver }),
        Err(error) => {
            driver.abort();
            Err(error)
        }
    }
}
