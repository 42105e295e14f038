//! The keeper's standing connection to its own server, over the Unix socket.
use crate::session::{KEEPER, Session, SqlError};
use crate::{gucs, observe, pg};
use connection::Target;
use std::time::Duration;
use tokio_postgres::{Client, Config, Error};

/// A local question is answered at once or not at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(3);

/// The standing connection, opened when it is first needed and again when it broke.
#[derive(Default)]
pub struct Local {
    session: Option<Session>,
}

impl Local {
    /// Asks the own server.
    pub async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, SqlError> {
        let mut session = match self.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => open().await?,
        };
        let answer = session.ask(LIMIT, question).await;
        // After a refusal the session is as good as before; after silence or a break it is not.
        if matches!(answer, Ok(_) | Err(SqlError::Refused { .. })) {
            self.session = Some(session);
        }
        answer
    }

    /// Opens the connection ahead of need: on the path of a failover it has to be there.
    pub async fn warm(&mut self) -> Result<(), SqlError> {
        if self.session.as_ref().is_none_or(Session::is_closed) {
            self.session = None;
            self.session = Some(open().await?);
        }
        Ok(())
    }
}

/// A connection of its own, for work that takes its time.
pub async fn open() -> Result<Session, SqlError> {
    // Every attempt that is turned away leaves a line in the log.
    if !observe::is_accepting() {
        return Err(SqlError::Starting);
    }
    let (directory, port) = pg::socket_dir_and_port();
    let mut config = Config::new();
    config
        .host_path(directory)
        .port(port)
        .user(gucs::local_user())
        .dbname("postgres")
        .application_name(KEEPER)
        // Nothing in a database may come between the keeper and the functions it calls, and no setting of the
        // server's may make it wait for the standbys that it is about to change.
        .options(
            "-c search_path=pg_catalog -c default_transaction_read_only=off -c synchronous_commit=local \
             -c pg_autoctl.minimum_synchronous_commit=off -c lock_timeout=2s",
        );
    Session::open(&Target::local(config), CONNECT_LIMIT).await
}
