//! The node that is copied from: the one that the marker names, or the present primary when that one is gone.
use super::saved;
use super::work::{Interrupted, Work};
use crate::conf;
use crate::credentials::Address;
use crate::monitor::Monitor;
use fsm::message::Peer;
use node_files::{Secrets, State};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A source that is silent for this long is asked about.
const PATIENCE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until a source can be reached.
pub fn wait_for(work: &Work, named: &Peer) -> Result<Peer, Interrupted> {
    let mut peer = named.clone();
    let mut asked = Instant::now();
    work.until(PAUSE, || {
        if reachable(&peer) {
            return Ok(peer.clone());
        }
        let waiting = format!("waits for node {} at {}:{}", peer.node, peer.host, peer.port);
        if asked.elapsed() >= PATIENCE {
            asked = Instant::now();
            if let Some(primary) = present_primary(work) {
                peer = primary;
            }
        }
        Err(waiting)
    })
}

/// Whether a server accepts connections there.
pub fn reachable(peer: &Peer) -> bool {
    let addresses = (peer.host.as_str(), peer.port).to_socket_addrs().into_iter().flatten();
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, CONNECT).is_ok())
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
