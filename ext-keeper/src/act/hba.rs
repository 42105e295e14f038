//! The node's own block of pg_hba.conf: the peers, and the monitor's probe, may come in. What the names of the peers stand for
//! is asked beside the ticks, for an answer may take its time.
use super::{Trouble, io_trouble};
use crate::{gucs, pg};
use fsm::message::Peer;
use node_files::durable;
use node_files::hba::{self, Admitted};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Names are asked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// While a peer does not follow, its address may have changed.
const ASK_FOR_THE_MISSING: Duration = Duration::from_secs(5);

/// What the names of peers stand for, as far as it is known. Polled beside the ticks.
#[derive(Default)]
pub struct Names {
    wanted: RefCell<BTreeMap<String, Instant>>,
    known: RefCell<BTreeMap<String, Vec<IpAddr>>>,
    ask: Notify,
}

impl Names {
    /// Asks for as long as it is polled; rings `news` when a name stands for something else than before.
    pub async fn serve(&self, news: &Notify) {
        loop {
            let due = self
                .wanted
                .borrow()
                .iter()
                .min_by_key(|(_, due)| **due)
                .map(|(name, due)| (name.clone(), *due));
            match due {
                None => self.ask.notified().await,
                Some((_, due)) if due > Instant::now() => {
                    tokio::select! {
                        () = sleep_until(due) => {}
                        () = self.ask.notified() => {}
                    }
                }
                Some((name, _)) => {
                    // Without a limit but the resolver's own: a second question would take up a second thread.
                    let found = tokio::net::lookup_host((name.as_str(), 0)).await;
                    let mut addresses: Vec<IpAddr> =
                        found.into_iter().flatten().map(|address| address.ip()).collect();
                    addresses.sort();
                    addresses.dedup();
                    if let Some(due) = self.wanted.borrow_mut().get_mut(&name) {
                        *due = Instant::now() + ASK_AGAIN;
                    }
                    if self.learn(&name, addresses) {
                        news.notify_one();
                    }
                }
            }
        }
    }

    /// Nobody knowing a name is no reason to forget what it stood for. Whether it is news.
    fn learn(&self, name: &str, addresses: Vec<IpAddr>) -> bool {
        let mut known = self.known.borrow_mut();
        if addresses.is_empty() {
            let first = !known.contains_key(name);
            known.entry(name.to_owned()).or_default();
            if first {
                pg::log(&format!(
                    "the name \"{name}\" of another node stands for no address here; it is not let in before it does"
                ));
            }
            return false;
        }
        if known.get(name) == Some(&addresses) {
            return false;
        }
        known.insert(name.to_owned(), addresses);
        true
    }

    /// Which names to ask for from now on. Those of peers that are missing are asked for soon.
    fn want(&self, names: &[&str], missing: &[&str]) {
        let mut wanted = self.wanted.borrow_mut();
        wanted.retain(|name, _| names.contains(&name.as_str()));
        self.known.borrow_mut().retain(|name, _| names.contains(&name.as_str()));
        let now = Instant::now();
        for name in names {
            let soon = if missing.contains(name) { now + ASK_FOR_THE_MISSING } else { now + ASK_AGAIN };
            let due = wanted.get(*name).map_or(now, |due| soon.min(*due));
            if wanted.insert((*name).to_owned(), due) != Some(due) {
                self.ask.notify_one();
            }
        }
    }

    fn of(&self, name: &str) -> Option<Vec<IpAddr>> {
        self.known.borrow().get(name).filter(|addresses| !addresses.is_empty()).cloned()
    }
}

/// What the block was made from when it was written last.
#[derive(PartialEq, Eq)]
pub struct Written {
    encrypted: bool,
    skipped: bool,
    peers: Vec<Admitted>,
}

/// Writes the block for these peers and has the server read it. Touches nothing when it stands there already.
pub fn ensure(
    names: &Names,
    peers: &[Peer],
    missing: &[&str],
    written: &mut Option<Written>,
) -> Result<(), Trouble> {
    let (plain, strange): (Vec<&Peer>, Vec<&Peer>) = peers.iter().partition(|peer| hba::is_plain(&peer.host));
    let to_ask: Vec<&str> =
        plain.iter().map(|peer| peer.host.as_str()).filter(|host| address(host).is_none()).collect();
    names.want(&to_ask, missing);
    let mut admitted: Vec<Admitted> = plain
        .iter()
        .map(|peer| Admitted {
            host: peer.host.clone(),
            addresses: address(&peer.host)
                .map(|ip| vec![ip])
                .or_else(|| names.of(&peer.host))
                .unwrap_or_default(),
        })
        .collect();
    let encrypted = pg::setting(c"ssl") == "on";
    let wanted = Written { encrypted, skipped: gucs::skip_pg_hba(), peers: admitted.clone() };
    if written.as_ref() != Some(&wanted) {
        write(&wanted, &mut admitted)?;
        *written = Some(wanted);
    }
    match strange.first() {
        None => Ok(()),
        Some(peer) => Err(Trouble::new(format!(
            "node {} is not let in, for its host {:?} is neither a name nor an address; drop it and create it anew with another one",
            peer.node, peer.host
        ))),
    }
}

fn write(wanted: &Written, admitted: &mut [Admitted]) -> Result<(), Trouble> {
    let path = PathBuf::from(pg::setting(c"hba_file"));
    let text = std::fs::read(&path).map_err(|error| io_trouble("read pg_hba.conf", error))?;
    let before = hba::admitted_by(&hba::block_of(&text));
    for peer in admitted.iter_mut().filter(|peer| peer.addresses.is_empty()) {
        if let Some(known) = before.iter().find(|known| known.host == peer.host) {
            peer.addresses.clone_from(&known.addresses);
        }
    }
    let lines = hba::of_node(wanted.encrypted, admitted);
    if wanted.skipped {
        pg::log(&format!(
            "pg_hba.conf is left to you (pg_autoctl.skip_pg_hba); it has to begin with these lines:\n{}",
            lines.join("\n")
        ));
        return Ok(());
    }
    let block = hba::with_block(&text, &lines);
    if block != text {
        durable::rewrite(&path, &block)?;
        pg::signal_postmaster(libc::SIGHUP).map_err(|error| io_trouble("reload pg_hba.conf", error))?;
    }
    Ok(())
}

fn address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}
