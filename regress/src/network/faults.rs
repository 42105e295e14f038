//! What can go wrong between machines: packets from one to another vanish in the switch, some of them or all, or wait for a slow
//! line. Nobody is told, as with real cables.
use super::{Network, port, run_in};
use crate::account::Account;
use crate::address::Place;
use crate::oracles::tell;
use crate::process::Pid;
use crate::server::{Server, text};
use std::process::Command;
use std::sync::OnceLock;

/// Bytes that pass a slow line at once: more than the largest packet.
const BURST: &str = "64kb";
/// What waits longer than this for a slow line is lost.
const LONGEST_WAIT: &str = "2s";

impl Network {
    /// Whether this machine can make networks and let them fail. Says what is missing, and for which test, when not.
    pub fn is_possible() -> bool {
        static MISSING: OnceLock<Option<String>> = OnceLock::new();
        let Some(missing) = MISSING.get_or_init(what_is_missing) else { return true };
        let test = std::thread::current().name().unwrap_or("a scenario").to_owned();
        tell(&format!("skipped: {test}: {missing}"));
        false
    }

    /// The filter of the switch: pairs of addresses (from, to) between which nothing passes, and one chain for what passes sometimes.
    pub(super) fn prepare_faults(&self) {
        self.filter("add table bridge faults");
        self.filter("add set bridge faults cut { type ipv4_addr . ipv4_addr; }");
        self.filter("add chain bridge faults losses");
        self.filter("add chain bridge faults forward { type filter hook forward priority 0; }");
        self.filter("add rule bridge faults forward ip saddr . ip daddr @cut drop");
        self.filter("add rule bridge faults forward jump losses");
    }

    /// Cuts one direction: nothing that `from` sends reaches `to`.
    pub fn cut(&self, from: &Server, to: &Server) {
        self.filter(&format!("add element bridge faults cut {{ {} . {} }}", from.host, to.host));
    }

    /// Mends one direction.
    pub fn mend(&self, from: &Server, to: &Server) {
        self.filter(&format!("delete element bridge faults cut {{ {} . {} }}", from.host, to.host));
    }

    /// Cuts both directions.
    pub fn separate(&self, one: &Server, other: &Server) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Mends both directions.
    pub fn reunite(&self, one: &Server, other: &Server) {
        self.mend(one, other);
        self.mend(other, one);
    }

    /// Pulls the cable of a server: it hears nobody, clients neither, and nobody is told.
    pub fn unplug(&self, server: &Server) {
        run_in(self.switch.pid(), "ip", &format!("link set {} nomaster", port(server.place)));
    }

    /// Plugs it in again.
    pub fn plug(&self, server: &Server) {
        self.plug_in_again(server.place);
    }

    /// Loses that many of a hundred packets to and from a server.
    pub fn lose(&self, server: &Server, percent: u8) {
        let Some(below) = percent.checked_sub(1) else { return };
        for direction in ["saddr", "daddr"] {
            let host = &server.host;
            self.filter(&format!(
                "add rule bridge faults losses ip {direction} {host} numgen random mod 100 <= {below} drop"
            ));
        }
    }

    /// Puts a server behind a line of that many kilobits a second: packets wait for each other, and are lost when they wait too long.
    pub fn slow_down(&self, server: &Server, kilobits: u32) {
        let line = format!("rate {kilobits}kbit burst {BURST} latency {LONGEST_WAIT}");
        for (machine, device) in self.ends_of_cable(server.place) {
            run_in(machine, "tc", &format!("qdisc replace dev {device} root tbf {line}"));
        }
    }

    /// The line is as fast as before.
    pub fn speed_up(&self, server: &Server) {
        self.remove_slow_line(server.place);
    }

    /// Ends every fault of the network.
    pub fn heal(&self) {
        self.filter("flush set bridge faults cut");
        self.filter("flush chain bridge faults losses");
        self.end_noise();
        for (place, _) in &self.machines {
            self.plug_in_again(*place);
            self.remove_slow_line(*place);
        }
    }

    fn plug_in_again(&self, place: Place) {
        run_in(self.switch.pid(), "ip", &format!("link set {} master br0", port(place)));
    }

    fn remove_slow_line(&self, place: Place) {
        for (machine, device) in self.ends_of_cable(place) {
            // There is a discipline to delete only where the line was slow.
            if run_in(machine, "tc", &format!("qdisc show dev {device}")).contains("qdisc tbf") {
                run_in(machine, "tc", &format!("qdisc del dev {device} root"));
            }
        }
    }

    fn ends_of_cable(&self, place: Place) -> [(Pid, String); 2] {
        [(self.machine(place), "eth0".to_owned()), (self.switch.pid(), port(place))]
    }

    fn filter(&self, command: &str) {
        run_in(self.switch.pid(), "nft", command);
    }
}

/// Tried in a namespace of its own, for a program may be there and the kernel's part of it not.
fn what_is_missing() -> Option<String> {
    if !Account::of_servers().tests_run_as_root() {
        return Some("only root can give each server a machine (network namespace) of its own".to_owned());
    }
    let attempt = "ip link add br0 type bridge && ip link add cable type veth peer name port && nft add table bridge faults && \
                   tc qdisc add dev cable root tbf rate 1mbit burst 64kb latency 1s";
    match Command::new("unshare").args(["--net", "sh", "-c", attempt]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("no bridge, nft (package nftables) or tc (iproute2): {}", text(&output))),
        Err(error) => Some(format!("no unshare (package util-linux): {error}")),
    }
}
