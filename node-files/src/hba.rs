//! Our lines of pg_hba.conf, as text: who of a formation may come in. The first line that matches decides, so ours stand first,
//! and the last of them turn away whoever else uses our roles, whatever the operator's own lines below say.
//!
//! One module because three write or print them: the keeper, `create postgres --skip-pg-hba` and `create monitor`.
use crate::secrets::REPLICATION_ROLE;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The role of the monitor's health probe. It has no password: a probe leaves when it is asked for one.
pub const PROBE_ROLE: &str = "pgautofailover_monitor";

const BEGIN: &str = "# pg_autoctl begin";
const NOTE: &str = ": written by pg_autoctl; what stands between these two lines is replaced";
const END: &str = "# pg_autoctl end";
const NODE: &str = "# node at ";

/// A node that is let in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Admitted {
    /// The name or address that it is registered with.
    pub host: String,
    /// What that stands for now. Addresses and not the name: what reverse DNS says of an address is its owner's word.
    pub addresses: Vec<IpAddr>,
}

/// A name or an address, and nothing that means more to the server: somebody else's word must not become another line.
pub fn is_plain(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:%-".contains(&byte);
    !host.is_empty() && !host.starts_with('.') && host.bytes().all(fits)
}

/// The lines of a node: its peers, and the monitor's probe.
pub fn of_node(encrypted: bool, peers: &[Admitted]) -> Vec<String> {
    let kind = kind(encrypted);
    // The probe leaves before anything is worth encrypting.
    let mut lines = vec![format!("host postgres {PROBE_ROLE} all scram-sha-256")];
    let mut peers: Vec<&Admitted> = peers.iter().filter(|peer| is_plain(&peer.host)).collect();
    peers.sort();
    peers.dedup();
    for peer in peers {
        lines.push(format!("{NODE}{}", peer.host));
        for network in networks(&peer.addresses) {
            for database in ["replication", "postgres"] {
                lines.push(format!("{kind} {database} {REPLICATION_ROLE} {network} scram-sha-256"));
            }
        }
    }
    lines.push(rejection());
    lines
}

/// The lines of a monitor: nodes and operators, from everywhere, with their password.
pub fn of_monitor(encrypted: bool, method: &str) -> Vec<String> {
    let kind = kind(encrypted);
    vec![
        format!("{kind} pg_auto_failover autoctl_node all {method}"),
        // Operators rotate passwords: they prove who they are in any case.
        format!("{kind} pg_auto_failover autoctl all scram-sha-256"),
        "host all,replication autoctl_node,autoctl all reject".to_owned(),
    ]
}

/// What stands in the file of a new cluster outside of the block; the operator's from then on. Without the lines of initdb,
/// which let every role of this machine replicate.
pub fn of_new_cluster() -> String {
    "# The first line that matches decides. Lines of your own belong here, below the block of pg_autoctl.\nlocal all all peer\n".to_owned()
}

/// The line for clients of a node that we made.
pub fn of_clients(encrypted: bool, method: &str) -> String {
    format!("{} all all all {method}", kind(encrypted))
}

fn kind(encrypted: bool) -> &'static str {
    if encrypted { "hostssl" } else { "host" }
}

/// Each address with its full mask. Who shares this machine comes from its first loopback address, whichever is his own.
fn networks(addresses: &[IpAddr]) -> Vec<String> {
    let local = |ip: &IpAddr| match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let mut all: Vec<IpAddr> = addresses.to_vec();
    all.extend(addresses.iter().filter(|ip| ip.is_loopback()).map(local));
    all.sort();
    all.dedup();
    all.iter().map(|ip| format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })).collect()
}

/// `text` with our block at its top. Bytes: a comment of the operator's may be written in any encoding.
pub fn with_block(text: &[u8], lines: &[String]) -> Vec<u8> {
    let first = format!("{BEGIN}{NOTE}");
    let block = std::iter::once(first.as_bytes()).chain(lines.iter().map(String::as_bytes));
    let block = block.chain([END.as_bytes()]);
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let rest = sorted(body).filter_map(|(ours, line)| (!ours).then_some(line));
    let all: Vec<&[u8]> = block.chain(rest).collect();
    [all.join(&b'\n'), b"\n".to_vec()].concat()
}

/// `text` without our block, for a server that is none of ours any more. Our roles and their passwords are still in it: the last line
/// of the block stays, and turns them away from everywhere.
pub fn without_block(text: &[u8]) -> Vec<u8> {
    if block_of(text).is_empty() {
        return text.to_vec();
    }
    let left = format!("# The roles of pg_autoctl come in from nowhere any more.\n{}", rejection());
    let rest = sorted(text).filter_map(|(ours, line)| (!ours).then_some(line));
    std::iter::once(left.as_bytes()).chain(rest).collect::<Vec<_>>().join(&b'\n')
}

fn rejection() -> String {
    format!("host all,replication {REPLICATION_ROLE},{PROBE_ROLE} all reject")
}

/// The lines of our block in `text`; nothing when there is none.
pub fn block_of(text: &[u8]) -> Vec<String> {
    let lines =
        sorted(text).filter(|(ours, _)| *ours).map(|(_, line)| String::from_utf8_lossy(line).into_owned());
    lines.filter(|line| !line.starts_with(BEGIN) && !line.starts_with(END)).collect()
}

/// The peers that these lines of ours let in: what a name stood for, for as long as nobody can say what it stands for now.
pub fn admitted_by(lines: &[String]) -> Vec<Admitted> {
    let mut peers: Vec<Admitted> = Vec::new();
    for line in lines {
        if let Some(host) = line.strip_prefix(NODE) {
            peers.push(Admitted { host: host.trim().to_owned(), addresses: Vec::new() });
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let ([_, "replication", _, network, _], Some(peer)) = (&words[..], peers.last_mut()) else {
            continue;
        };
        if let Some(ip) = network.split('/').next().and_then(|ip| ip.parse().ok()) {
            peer.addresses.push(ip);
        }
    }
    peers
}

/// Each line, with whether it belongs to our block, its two marks included. A block that has lost its end is none: nobody knows
/// which of the lines below are the operator's.
fn sorted(text: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let mut inside = false;
    let lines = || text.split(|byte| *byte == b'\n');
    let ends = lines().enumerate().filter(|(_, line)| line.starts_with(END.as_bytes()));
    let last_end = ends.last().map_or(0, |(number, _)| number);
    lines().enumerate().map(move |(number, line)| {
        inside |= line.starts_with(BEGIN.as_bytes()) && number < last_end;
        let ours = inside;
        inside &= !line.starts_with(END.as_bytes());
        (ours, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(host: &str, addresses: &[&str]) -> Admitted {
        Admitted {
            host: host.to_owned(),
            addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn peers_are_let_in_by_their_addresses_and_nobody_else_by_our_roles() {
        let lines = of_node(true, &[peer("db2", &["10.0.0.2", "2001:db8::2"])]);
        assert_eq!(
            lines,
            [
                "host postgres pgautofailover_monitor all scram-sha-256",
                "# node at db2",
                "hostssl replication pgautofailover_replicator 10.0.0.2/32 scram-sha-256",
                "hostssl postgres pgautofailover_replicator 10.0.0.2/32 scram-sha-256",
                "hostssl replication pgautofailover_replicator 2001:db8::2/128 scram-sha-256",
                "hostssl postgres pgautofailover_replicator 2001:db8::2/128 scram-sha-256",
                "host all,replication pgautofailover_replicator,pgautofailover_monitor all reject",
            ]
        );
    }

    #[test]
    fn a_host_never_becomes_a_line_of_its_own() {
        for host in ["", ".example.org", "a b", "a\nhost all all all trust", "\"all\"", "all,b", "10.0.0.0/0"]
        {
            let lines = of_node(false, &[peer(host, &["10.0.0.2"])]);
            assert_eq!(lines.len(), 2, "{host:?}: {lines:?}");
        }
        assert!(is_plain("fe80::1%eth0") && is_plain("db-1.example.org") && is_plain("192.0.2.1"));
    }

    #[test]
    fn who_shares_this_machine_may_come_from_its_first_address() {
        let lines = of_node(false, &[peer("127.0.1.1", &["127.0.1.1"])]);
        assert!(lines.iter().any(|line| line.contains(" 127.0.0.1/32 ")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains(" 127.0.1.1/32 ")), "{lines:?}");
    }

    #[test]
    fn the_block_is_replaced_and_the_rest_is_kept_to_the_byte() {
        let theirs = b"# M\xfcller\nhost all all samenet md5\n";
        let once = with_block(theirs, &["one".to_owned()]);
        assert!(once.ends_with(b"one\n# pg_autoctl end\n# M\xfcller\nhost all all samenet md5\n"));
        let twice = with_block(&once, &["two".to_owned()]);
        assert_eq!(block_of(&twice), ["two"]);
        assert!(twice.ends_with(theirs));
        assert_eq!(with_block(&twice, &["two".to_owned()]), twice);
        assert_eq!(block_of(theirs), Vec::<String>::new());
    }

    #[test]
    fn a_server_that_is_none_of_ours_any_more_keeps_our_roles_out() {
        let theirs = b"# M\xfcller\nhost all all all scram-sha-256\n";
        let left = without_block(&with_block(theirs, &of_node(true, &[peer("db2", &["10.0.0.2"])])));
        let text = String::from_utf8_lossy(&left).into_owned();
        assert!(left.ends_with(theirs) && !text.contains("10.0.0.2") && !text.contains(BEGIN), "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.ends_with("all reject")), "{text}");
        assert_eq!(without_block(&left), left);
    }

    #[test]
    fn a_block_without_its_end_takes_nothing_along() {
        let torn = b"# pg_autoctl begin\none\nhost all all samenet md5\n";
        let mended = with_block(torn, &["two".to_owned()]);
        assert!(mended.ends_with(b"# pg_autoctl end\n# pg_autoctl begin\none\nhost all all samenet md5\n"));
        assert_eq!(block_of(&mended), ["two"]);
        assert_eq!(with_block(&mended, &["two".to_owned()]), mended);
    }

    #[test]
    fn what_a_name_stood_for_is_read_back() {
        let peers = [peer("db2", &["10.0.0.2", "10.0.1.2"]), peer("db3", &[]), peer("db4", &["10.0.0.4"])];
        let text = with_block(b"", &of_node(false, &peers));
        assert_eq!(admitted_by(&block_of(&text)), peers);
    }
}
