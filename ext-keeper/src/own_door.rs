//! Whether the own server still answers new connections. A postmaster that is stopped or hangs leaves its children at
//! work: commits go on, heartbeats too, and nobody gets in any more.
use crate::observe;
use crate::pg;
use std::cell::Cell;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const KNOCK_EVERY: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// One unanswered knock can be a busy machine.
const KNOCKS: u32 = 2;
/// "Do you speak TLS?" (protocol.h, NEGOTIATE_SSL_CODE): answered by one letter before anybody logs in, and leaving after it is not logged.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The answer, found out beside the ticks.
#[derive(Default)]
pub struct OwnDoor {
    unanswered: Cell<u32>,
}

impl OwnDoor {
    /// Nobody answers, and not only for a moment.
    pub fn is_stuck(&self) -> bool {
        self.unanswered.get() >= KNOCKS
    }

    /// Knocks for as long as it is polled; rings `news` when the answer has changed.
    pub async fn watch(&self, news: &Notify) {
        loop {
            sleep(KNOCK_EVERY).await;
            // A server that is starting answers when it has come so far.
            let silent = observe::is_accepting() && timeout(ANSWER_LIMIT, knock()).await.is_err();
            let before = self.is_stuck();
            self.unanswered.set(if silent { self.unanswered.get().saturating_add(1) } else { 0 });
            if self.is_stuck() != before {
                news.notify_one();
            }
        }
    }
}

/// Any end of it is an answer, a refusal too; only silence is none.
async fn knock() -> io::Result<()> {
    let (directory, port) = pg::socket_dir_and_port();
    let mut stream = UnixStream::connect(format!("{directory}/.s.PGSQL.{port}")).await?;
    stream.write_all(&SSL_REQUEST).await?;
    stream.read_u8().await.map(drop)
}
