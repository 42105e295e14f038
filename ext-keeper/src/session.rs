//! One connection to a PostgreSQL server, driven by whoever waits on it: no task of its own that could be forgotten.
use connection::{ConnectFailure, Link, Target};
use std::fmt;
use std::future::poll_fn;
use std::time::Duration;
use tokio_postgres::{AsyncMessage, Client, Error};

/// The application_name of every session of a keeper's.
pub const KEEPER: &str = "pg_autoctl keeper";

/// Why a question was not answered.
#[derive(Debug)]
pub enum SqlError {
    /// The server refused it.
    Refused {
        /// Its SQLSTATE.
        code: String,
        /// What it said.
        message: String,
    },
    /// The connection is gone, or was never made.
    Broken(String),
    /// No answer in time.
    Late(Duration),
    /// Not asked: the server is only starting.
    Starting,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlError::Refused { code, message } => write!(f, "{message} (SQLSTATE {code})"),
            SqlError::Broken(why) => f.write_str(why),
            SqlError::Starting => f.write_str("the server is starting"),
            SqlError::Late(limit) => write!(f, "no answer within {} ms", limit.as_millis()),
        }
    }
}

impl From<Error> for SqlError {
    fn from(error: Error) -> SqlError {
        match error.as_db_error() {
            Some(refusal) => SqlError::Refused {
                code: refusal.code().code().to_owned(),
                message: refusal.message().to_owned(),
            },
            None => SqlError::Broken(with_causes(&error)),
        }
    }
}

impl From<ConnectFailure> for SqlError {
    fn from(failure: ConnectFailure) -> SqlError {
        match failure {
            ConnectFailure::Tls(error) => SqlError::Broken(error.in_full()),
            ConnectFailure::Postgres(error) => error.into(),
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let deeper_text = deeper.to_string();
        // Some errors show their cause already.
        if !text.contains(&deeper_text) {
            text.push_str(": ");
            text.push_str(&deeper_text);
        }
        cause = deeper.source();
    }
    text
}

/// An open connection.
pub struct Session {
    client: Client,
    connection: Link,
    notified: bool,
}

impl Session {
    /// Connects and authenticates.
    pub async fn open(target: &Target, limit: Duration) -> Result<Session, SqlError> {
        match tokio::time::timeout(limit, target.connect()).await {
            Ok(Ok((client, connection))) => Ok(Session { client, connection, notified: false }),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(SqlError::Late(limit)),
        }
    }

    /// Asks something and drives the connection until it is answered. A question that was dropped half-way is
    /// answered into the void; the connection stays usable.
    pub async fn ask<T>(
        &mut self,
        limit: Duration,
        question: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, SqlError> {
        let Session { client, connection, notified } = self;
        tokio::select! {
            biased;
            answer = question(client) => answer.map_err(SqlError::from),
            Some(broken) = pump(connection, notified, false) => Err(broken),
            () = tokio::time::sleep(limit) => Err(SqlError::Late(limit)),
        }
    }

    /// Waits for a notification, or for the end of the connection.
    pub async fn notification(&mut self) -> Result<(), SqlError> {
        if !self.notified
            && let Some(end) = pump(&mut self.connection, &mut self.notified, true).await
        {
            return Err(end);
        }
        self.notified = false;
        Ok(())
    }

    /// Whether the server has ended it, as far as is known.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// Moves bytes until the connection ends; or until a notification has come, if those are waited for (`None`).
async fn pump(connection: &mut Link, notified: &mut bool, until_notified: bool) -> Option<SqlError> {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => {
                *notified = true;
                if until_notified {
                    return None;
                }
            }
            // Notices are for the server's log, where they stand already.
            Some(Ok(_)) => {}
            Some(Err(error)) => return Some(error.into()),
            None => return Some(SqlError::Broken("the connection was closed".to_owned())),
        }
    }
}
