//! One session with a server, for a program that does one thing after the other.
use connection::{ConnectFailure, Link, Target, liveness};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Row};

/// How long a connection or a statement may take before the server counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(10);
/// For the end of a session to reach the server.
const GOODBYE: Duration = Duration::from_millis(200);

/// An open session.
pub struct Session {
    // Before what drives it, so that it is dropped first.
    client: Client,
    news: Arc<Notify>,
    driver: Driver,
}

/// What moves the bytes of a session.
struct Driver {
    runtime: Runtime,
    link: Option<JoinHandle<()>>,
}

impl Drop for Driver {
    /// Says goodbye: a server logs each connection that ends without.
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            // A server that does not hear it has gone itself.
            let _ = self.runtime.block_on(async { tokio::time::timeout(GOODBYE, link).await });
        }
    }
}

/// Why it did not work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody answers there.
    #[error("{0}")]
    Unreachable(String),
    /// It could not be a safe conversation.
    #[error("{0}")]
    Tls(connection::Error),
    /// The server said no.
    #[error("{}", .0.message())]
    Refused(Box<tokio_postgres::error::DbError>),
    /// Something between the two.
    #[error("{0}")]
    Client(String),
}

impl Failure {
    /// The SQLSTATE, when the server said no.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Failure::Refused(error) => Some(error.code().code()),
            Failure::Unreachable(_) | Failure::Tls(_) | Failure::Client(_) => None,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        if let Some(said) = error.as_db_error() {
            return Failure::Refused(Box::new(said.clone()));
        }
        // The outer text is only "error connecting to server"; the cause says why.
        let cause = std::error::Error::source(&error);
        match cause {
            Some(cause) if cause.is::<std::io::Error>() => Failure::Unreachable(cause.to_string()),
            _ if error.is_closed() => Failure::Unreachable("the server closed the connection".to_owned()),
            Some(cause) => Failure::Client(cause.to_string()),
            None => Failure::Client(error.to_string()),
        }
    }
}

impl From<ConnectFailure> for Failure {
    fn from(failure: ConnectFailure) -> Failure {
        match failure {
            ConnectFailure::Tls(error) => Failure::Tls(error),
            ConnectFailure::Postgres(error) => error.into(),
        }
    }
}

impl Session {
    /// Opens a session. The search_path is pinned: nobody's schema comes between us and a function's name.
    pub fn open(target: &Target) -> Result<Session, Failure> {
        let mut target = target.clone();
        let config = &mut target.config;
        config.application_name("pg_autoctl").connect_timeout(PATIENCE);
        liveness::apply(config, "-c search_path=pg_catalog,pg_temp");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Client(error.to_string()))?;
        let news = Arc::new(Notify::new());
        let (client, link) = runtime.block_on(async {
            let Ok(connected) = tokio::time::timeout(PATIENCE, target.connect()).await else {
                return Err(Failure::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())));
            };
            let (client, connection) = connected?;
            // It ends with the session: the runtime that polls it is ours and is dropped with us.
            let link = tokio::spawn(drive(connection, news.clone()));
            Ok((client, link))
        })?;
        Ok(Session { client, news, driver: Driver { runtime, link: Some(link) } })
    }

    /// The rows of a query.
    pub fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        self.in_time(self.client.query(sql, parameters))
    }

    /// The only row of a query, read by `read`.
    pub fn one<T>(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        let row = self.in_time(self.client.query_one(sql, parameters))?;
        Ok(read(&row)?)
    }

    /// A statement without parameters, such as DDL.
    pub fn run(&self, sql: &str) -> Result<(), Failure> {
        self.in_time(self.client.batch_execute(sql))
    }

    /// Waits for a notification on a channel that this session listens to. Whether one came, or the session ended, within that time.
    pub fn listened(&self, within: Duration) -> bool {
        self.driver
            .runtime
            .block_on(async { tokio::time::timeout(within, self.news.notified()).await.is_ok() })
    }

    fn in_time<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Failure> {
        self.driver.runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, work).await {
                Ok(done) => Ok(done?),
                Err(_) => Err(Failure::Unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
            }
        })
    }
}

/// Serves the session until it ends; what the server notifies is news, and so is the end.
async fn drive(mut connection: Link, news: Arc<Notify>) {
    loop {
        match std::future::poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => news.notify_one(),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return news.notify_one(),
        }
    }
}

/// A string constant of SQL, for statements that take no parameters.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A quoted name of SQL.
pub fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stay_inside() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"\'"), r"E'\\'''");
        assert_eq!(name("a\"b"), "\"a\"\"b\"");
    }
}
