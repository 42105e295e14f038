//! A real client that LISTENs, and writes down what it hears in the order in which it comes.
use crate::deadlines::CONNECT;
use crate::session::secured;
use std::future::poll_fn;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tokio::runtime::Builder;
use tokio_postgres::{AsyncMessage, Config};

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its channel.
    pub channel: String,
    /// What it says.
    pub payload: String,
}

/// Listens until it is dropped or the server goes.
pub struct Listener {
    heard: Receiver<Heard>,
    so_far: Vec<Heard>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Listener {
    /// Connects, and returns when it listens on all of these channels.
    pub fn open(config: &Config, channels: &[&str]) -> Listener {
        let (tell, heard) = channel();
        let (ready, is_ready) = channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (config, listen) =
            (config.clone(), channels.iter().map(|name| format!("LISTEN {name};")).collect());
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("building a runtime");
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = hear(config, listen, ready, tell) => {}
                }
            });
        });
        is_ready.recv_timeout(CONNECT * 10).expect("a connection that listens");
        Listener { heard, so_far: Vec::new(), _stop: stop }
    }

    /// Everything heard until now.
    pub fn so_far(&mut self) -> &[Heard] {
        self.so_far.extend(self.heard.try_iter());
        &self.so_far
    }

    /// What was heard until now on one channel.
    pub fn on(&mut self, channel: &str) -> Vec<String> {
        let heard = self.so_far().iter().filter(|heard| heard.channel == channel);
        heard.map(|heard| heard.payload.clone()).collect()
    }
}

async fn hear(config: Config, listen: String, ready: Sender<()>, tell: Sender<Heard>) {
    let (client, mut connection) = secured(&config).connect().await.expect("connecting");
    let messages = async {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(note) = message {
                let (channel, payload) = (note.channel().to_owned(), note.payload().to_owned());
                if tell.send(Heard { channel, payload }).is_err() {
                    return;
                }
            }
        }
    };
    let listening = async {
        client.batch_execute(&listen).await.expect("LISTEN");
        ready.send(()).expect("the test waits");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = messages => {}
        () = listening => {}
    }
}
