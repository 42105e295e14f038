//! A network of machines on this one: a network namespace for each server, and one for a stranger, with an address of its own,
//! all on one switch, and one list of names (/etc/hosts) for all of them. The harness stands on the switch too. Root only.
//!
//! A namespace lives as long as a process in it: here one that ends when its input does, which is when the harness does. With the
//! last namespace all cables go, so nothing is left behind by a killed run.
use crate::address::Place;
use crate::deadlines::DEATH;
use crate::process::Pid;
use crate::wait;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// For benchmarks of networks (RFC 2544): no real machine has such an address.
const NETWORK: &str = "198.18";
const HARNESS: u8 = 254;
const STRANGER: u8 = 200;
/// Added to the last part of the address of a server that moves.
const MOVED: u8 = 50;

/// The switch and what is plugged into it. Dropping it pulls everything out.
pub struct Network {
    third: u8,
    /// What every machine has at /etc/hosts.
    hosts: PathBuf,
    switch: Machine,
    machines: Vec<(u8, Machine)>,
}

/// A process that keeps the namespaces of a machine: its network, and its mounts, for it has a list of names of its own.
struct Machine(Child);

impl Network {
    /// Only root makes networks.
    pub fn is_possible() -> bool {
        crate::account::Account::of_servers().tests_run_as_root()
    }

    /// A switch with the harness on it. `third` belongs to one cluster, and so does `directory`.
    pub fn make(third: u8, directory: &Path) -> Network {
        let hosts = directory.join("hosts");
        fs::write(&hosts, "127.0.0.1 localhost\n").expect("writing the list of names");
        fs::set_permissions(&hosts, fs::Permissions::from_mode(0o644)).expect("chmod");
        let switch = Machine::start(&hosts);
        ip(switch.pid(), "link add br0 type bridge");
        ip(switch.pid(), "link set br0 up");
        let network = Network { third, hosts, switch, machines: Vec::new() };
        let cable = format!("pgaf{third}");
        network.plug_in(std::process::id(), &cable, HARNESS);
        network
    }

    /// A machine for that server.
    pub fn add(&mut self, place: Place) -> Pid {
        self.add_at(place.octet())
    }

    /// A machine of the same network that nobody knows.
    pub fn add_stranger(&mut self) -> Pid {
        self.add_at(STRANGER)
    }

    fn add_at(&mut self, octet: u8) -> Pid {
        let machine = Machine::start(&self.hosts);
        let pid = machine.pid();
        ip(pid, "link set lo up");
        self.plug_in(pid, "eth0", octet);
        self.machines.push((octet, machine));
        pid
    }

    fn plug_in(&self, machine: Pid, cable: &str, octet: u8) {
        let (switch, port) = (self.switch.pid(), format!("port{octet}"));
        ip(machine, &format!("link add {cable} type veth peer name {port} netns {switch}"));
        ip(switch, &format!("link set {port} master br0 up"));
        ip(machine, &format!("address add {}/24 dev {cable}", self.address(octet)));
        ip(machine, &format!("link set {cable} up"));
    }

    /// The address of a server.
    pub fn host(&self, place: Place) -> String {
        self.address(place.octet())
    }

    fn address(&self, octet: u8) -> String {
        format!("{NETWORK}.{}.{octet}", self.third)
    }

    /// Says what names stand for, each with its address; those that stood there before stand for nothing any more.
    pub fn name(&self, names: &[(&str, &str)]) {
        let lines: String = names.iter().map(|(name, address)| format!("{address} {name}\n")).collect();
        // In place: the machines have this very file.
        fs::write(&self.hosts, format!("127.0.0.1 localhost\n{lines}")).expect("writing the list of names");
    }

    /// Gives a server's machine another address; returns it.
    pub fn move_away(&self, place: Place) -> String {
        let (_, machine) =
            self.machines.iter().find(|(octet, _)| *octet == place.octet()).expect("a machine there");
        let (old, new) = (self.host(place), self.address(place.octet() + MOVED));
        ip(machine.pid(), &format!("address add {new}/24 dev eth0"));
        ip(machine.pid(), &format!("address del {old}/24 dev eth0"));
        // The second address of a network goes with the first one, unless it was promoted.
        ip(machine.pid(), &format!("address replace {new}/24 dev eth0"));
        new
    }

    /// Pulls the cable of a server: whatever is sent is lost, and nobody is told.
    pub fn unplug(&self, place: Place) {
        ip(self.switch.pid(), &format!("link set port{} nomaster", place.octet()));
    }

    /// Plugs it in again.
    pub fn plug(&self, place: Place) {
        ip(self.switch.pid(), &format!("link set port{} master br0", place.octet()));
    }
}

impl Machine {
    fn start(hosts: &Path) -> Machine {
        let mut command = Command::new("unshare");
        // In a chroot the root is no mount, so nothing can be said of how its mounts spread.
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("reading the mounts");
        let root_is_mounted = mounts.lines().any(|line| line.split(' ').nth(4) == Some("/"));
        let spread = if root_is_mounted { "private" } else { "unchanged" };
        command
            .args(["--net", "--mount", "--propagation", spread])
            .args(["sh", "-c", "mount --bind \"$0\" /etc/hosts && exec cat"])
            .arg(hosts);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let machine = Machine(command.spawn().expect("running unshare, of package util-linux"));
        wait::until("the machine has a network and a list of names of its own", DEATH, || {
            match fs::read_to_string(format!("/proc/{}/cmdline", machine.pid())) {
                Ok(title) if title == "cat\0" => Ok(()),
                other => Err(other),
            }
        });
        machine
    }

    fn pid(&self) -> Pid {
        self.0.id()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It ends with its input; one that is gone already is no reason to panic on the way out.
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// Runs ip(8) in the network of a process.
fn ip(of: Pid, arguments: &str) {
    let output = Command::new("nsenter")
        .args(["-t", &of.to_string(), "-n", "ip"])
        .args(arguments.split(' '))
        .output()
        .expect("running nsenter, of package util-linux");
    assert!(output.status.success(), "ip {arguments} (package iproute2): {}", crate::server::text(&output));
}
