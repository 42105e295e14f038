//! The node's own block of pg_hba.conf: who of the group, and the monitor's probe, may come in.
use super::{Trouble, io_trouble};
use crate::pg;
use fsm::message::Peer;
use node_files::durable;
use node_files::secrets::REPLICATION_ROLE;
use std::net::IpAddr;
use std::path::PathBuf;

const BEGIN: &str = "# pg_autoctl begin: written by the keeper, changes between these two lines are lost";
const END: &str = "# pg_autoctl end";

/// Writes the block for these peers and has the server read it. Touches nothing when it stands there already.
pub fn ensure(peers: &[Peer]) -> Result<(), Trouble> {
    let path = PathBuf::from(pg::setting(c"hba_file"));
    // Bytes: a comment may be written in any encoding.
    let text = std::fs::read(&path).map_err(|error| io_trouble("read pg_hba.conf", error))?;
    let (plain, strange): (Vec<&Peer>, Vec<&Peer>) = peers.iter().partition(|peer| is_plain(&peer.host));
    let wanted = with_block(&text, &plain);
    if wanted != text {
        durable::write(&path, &wanted)?;
        pg::signal_postmaster(libc::SIGHUP).map_err(|error| io_trouble("reload pg_hba.conf", error))?;
    }
    match strange.first() {
        None => Ok(()),
        Some(peer) => Err(Trouble::new(format!(
            "node {} is not let in, for its host {:?} is neither a name nor an address; drop it and create it anew with another one",
            peer.node, peer.host
        ))),
    }
}

/// A name or an address, and nothing that means more to the server: the monitor's word must not become another line, and a
/// leading dot would let in a whole domain.
fn is_plain(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:%-".contains(&byte);
    !host.is_empty() && !host.starts_with('.') && host.bytes().all(fits)
}

fn with_block(text: &[u8], peers: &[&Peer]) -> Vec<u8> {
    let mut block = vec![BEGIN.to_owned()];
    // The probe ends at the authentication request: the role has no password.
    block.push("host postgres pgautofailover_monitor all scram-sha-256".to_owned());
    let mut hosts: Vec<String> = peers.iter().map(|peer| address(&peer.host)).collect();
    hosts.sort();
    hosts.dedup();
    for host in hosts {
        block.push(format!("host replication {REPLICATION_ROLE} {host} scram-sha-256"));
        block.push(format!("host postgres {REPLICATION_ROLE} {host} scram-sha-256"));
    }
    block.push(END.to_owned());
    let mut inside = false;
    let rest = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n').filter(|line| {
        let begins = line.starts_with(b"# pg_autoctl begin");
        let ends = inside && line.starts_with(END.as_bytes());
        let ours = inside || begins;
        inside = (inside || begins) && !ends;
        !ours
    });
    // The first line that matches decides, so ours stand first.
    let lines: Vec<&[u8]> = block.iter().map(String::as_bytes).chain(rest).collect();
    [lines.join(&b'\n'), b"\n".to_vec()].concat()
}

/// An address with its full mask; a name as it is, in quotes that keep it from being a keyword.
fn address(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V4(ip)) => format!("{ip}/32"),
        Ok(IpAddr::V6(ip)) => format!("{ip}/128"),
        Err(_) => format!("\"{host}\""),
    }
}
