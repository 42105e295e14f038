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
    let text = std::fs::read_to_string(&path).map_err(|error| io_trouble("read pg_hba.conf", error))?;
    let wanted = with_block(&text, peers);
    if wanted != text {
        durable::write(&path, wanted.as_bytes())?;
        pg::signal_postmaster(libc::SIGHUP).map_err(|error| io_trouble("reload pg_hba.conf", error))?;
    }
    Ok(())
}

fn with_block(text: &str, peers: &[Peer]) -> String {
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
    let rest = text.lines().filter(|line| {
        let begins = line.starts_with("# pg_autoctl begin");
        let ends = inside && line.starts_with(END);
        let ours = inside || begins;
        inside = (inside || begins) && !ends;
        !ours
    });
    // The first line that matches decides, so ours stand first.
    let lines: Vec<&str> = block.iter().map(String::as_str).chain(rest).collect();
    lines.join("\n") + "\n"
}

/// An address with its full mask; a name as it is.
fn address(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V4(ip)) => format!("{ip}/32"),
        Ok(IpAddr::V6(ip)) => format!("{ip}/128"),
        Err(_) => format!("\"{}\"", host.replace('"', "")),
    }
}
