//! The node that is copied from: the one that the marker names, or the present primary when that one is gone.
use super::saved;
use super::work::{Interrupted, Work};
use crate::conf;
use crate::monitor::Monitor;
use crate::sql::{Failure, Session};
use connection::Address;
use connection::{Ssl, Target};
use fsm::message::Peer;
use node_files::secrets::REPLICATION_ROLE;
use node_files::{Secrets, State};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use tokio_postgres::Config;

/// A source that is silent for this long is asked about.
const PATIENCE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until a source is ready for us; `ready` says why it is not.
pub fn wait_for(
    work: &Work,
    named: &Peer,
    ready: impl Fn(&Work, &Peer) -> Result<(), String>,
) -> Result<Peer, Interrupted> {
    let mut peer = named.clone();
    let mut asked = Instant::now();
    work.until(PAUSE, || {
        let Err(why) = ready(work, &peer) else { return Ok(peer.clone()) };
        let waiting = format!("waits for node {} at {}:{}: {why}", peer.node, peer.host, peer.port);
        if asked.elapsed() >= PATIENCE {
            asked = Instant::now();
            if let Some(primary) = present_primary(work) {
                peer = primary;
            }
        }
        Err(waiting)
    })
}

/// Somebody accepts connections there.
pub fn reachable(_: &Work, peer: &Peer) -> Result<(), String> {
    let addresses = (peer.host.as_str(), peer.port).to_socket_addrs().map_err(|cause| cause.to_string())?;
    let mut why = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => return Ok(()),
            Err(cause) => why = cause.to_string(),
        }
    }
    Err(why)
}

/// The server there lets our role log in, as pg_rewind will.
pub fn lets_in(work: &Work, peer: &Peer, ssl: &Ssl) -> Result<(), String> {
    let secrets = Secrets::read(&work.state_dir).map_err(|error| error.to_string())?;
    let mut config = Config::new();
    config.host(&peer.host).port(peer.port).user(REPLICATION_ROLE).dbname("postgres");
    if let Some(password) = secrets.replication_password {
        config.password(password);
    }
    Session::open(&Target { config, ssl: ssl.clone() }).map(drop).map_err(|failure| match failure {
        Failure::Tls(error) => error.in_full(),
        other @ (Failure::Unreachable(_) | Failure::Refused(_) | Failure::Client(_)) => other.to_string(),
    })
}

/// The group's primary, as the monitor knows it; not ourselves.
fn present_primary(work: &Work) -> Option<Peer> {
    let state = State::read(&work.state_dir).ok()?;
    let setting = |file| {
        let text = saved::text(&work.pgdata, &work.state_dir, file)?;
        conf::value_of(&text, "pg_autoctl.monitor")
    };
    let address = setting("postgresql.auto.conf").or_else(|| setting("postgresql.conf"))?;
    let (address, _) = Address::parse(&address).ok()?;
    let password = Secrets::read(&work.state_dir).ok()?.monitor_password;
    let primary =
        Monitor::open(&address, password.as_deref()).ok()?.primary(&state.formation, state.group).ok()?;
    primary.filter(|primary| primary.node != state.node)
}
