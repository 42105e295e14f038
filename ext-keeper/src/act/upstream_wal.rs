//! What the upstream still has of the WAL that this node needs. A receiver that gets none can only log it, so it is asked over a
//! connection of its own, as the role that standbys have there; beside the ticks, for an answer may take its time.
use crate::session::{KEEPER, Session, SqlError};
use crate::{gucs, pg};
use connection::Target;
use fsm::message::Peer;
use fsm::supply::{Supply, segment_number};
use fsm::units::Lsn;
use node_files::secrets::REPLICATION_ROLE;
use node_files::{Secrets, StateDir};
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_postgres::Config;

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Whom to ask, and for the WAL from where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The upstream.
    pub upstream: Peer,
    /// The end of this node's own WAL.
    pub end: Lsn,
}

impl fmt::Display for Need {
    /// What is said of it once it was found to be gone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} does not have the WAL after {} any more", self.upstream.node, self.end)
    }
}

/// The question, as long as there is one, and what came of it. Polled beside the ticks.
#[derive(Default)]
pub struct UpstreamWal {
    need: RefCell<Option<Need>>,
    /// What was found missing for good.
    gone: RefCell<Option<Need>>,
    changed: Notify,
}

impl UpstreamWal {
    /// Asks for as long as it is polled; rings `news` when WAL was found to be gone.
    pub async fn serve(&self, news: &Notify) {
        loop {
            let need = self.need.borrow().clone();
            let Some(need) = need else {
                self.changed.notified().await;
                continue;
            };
            tokio::select! {
                answer = look(&need) => {
                    // That nobody answers is said by whoever waits for the WAL.
                    if answer.is_ok_and(|supply| supply.is_gone(need.end)) && self.gone.replace(Some(need.clone())) != Some(need) {
                        news.notify_one();
                    }
                }
                () = self.changed.notified() => continue,
            }
            tokio::select! {
                () = sleep(ASK_AGAIN) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// What to ask about from now on; what was found about anything else is forgotten.
    pub fn want(&self, need: Option<Need>) {
        if *self.need.borrow() != need {
            self.gone.replace(None);
            self.need.replace(need);
            self.changed.notify_one();
        }
    }

    /// What this upstream does not have any more.
    pub fn gone_from(&self, upstream: &Peer) -> Option<Need> {
        self.gone.borrow().clone().filter(|need| need.upstream == *upstream)
    }
}

async fn look(need: &Need) -> Result<Supply, SqlError> {
    let secrets = Secrets::read(&StateDir::at(gucs::state_dir()))
        .map_err(|error| SqlError::Broken(error.to_string()))?;
    let mut config = Config::new();
    config
        .host(&need.upstream.host)
        .port(need.upstream.port)
        .user(REPLICATION_ROLE)
        .dbname("postgres")
        .application_name(KEEPER)
        .options("-c search_path=pg_catalog");
    if let Some(password) = secrets.replication_password {
        config.password(password);
    }
    let segment_size = pg::setting(c"wal_segment_size").parse().unwrap_or_default();
    let segment = segment_number(need.end, segment_size);
    let mut session = Session::open(&Target { config, ssl: gucs::ssl() }, CONNECT_LIMIT).await?;
    session
        .ask(ANSWER_LIMIT, async |client| {
            // In this order: a file that is made in between is found.
            let written = client
                .query_one("SELECT (pg_current_wal_lsn() - '0/0')::bigint", &[])
                .await?
                .try_get::<_, i64>(0)?;
            let has_segment = client
                .query_one(
                    "SELECT EXISTS (SELECT FROM pg_ls_dir('pg_wal', true, false) AS name
                                    WHERE name ~ '^[0-9A-F]{24}$' AND substr(name, 9) = $1)",
                    &[&segment],
                )
                .await?
                .try_get::<_, bool>(0)?;
            Ok(Supply { written: Lsn(written.cast_unsigned()), has_segment })
        })
        .await
}
