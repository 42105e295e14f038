//! A network of machines on this one: a network namespace for each server, and one for a stranger, with an address of its own,
//! all on one switch, and one list of names (/etc/hosts) for all of them. The harness stands on the switch too. Root only.
//!
//! A namespace lives as long as a process in it: here one that ends when its input does, which is when the harness does. With the
//! last namespace all cables go, so nothing is left behind by a killed run.
use crate::address::Place;
use crate::deadlines::DEATH;
use crate::process::Pid;
use crate::server::{Server, text};
use crate::wait;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

mod faults;
mod noise;

pub use noise::{Noise, NoisyCables};

/// For benchmarks of networks (RFC 2544): no real machine has such an address.
const NETWORK: &str = "198.18";
/// Added to the last part of the address of a server that moves.
const MOVED: u8 = 50;

/// The switch and what is plugged into it. Dropping it pulls everything out.
pub struct Network {
    third: u8,
    /// What every machine has at /etc/hosts.
    hosts: PathBuf,
    switch: Machine,
    machines: Vec<(Place, Machine)>,
    /// Those that it is made with, instead of the kernel's.
    noisy: Option<NoisyCables>,
}

/// A process that keeps the namespaces of a machine: its network, and its mounts, for it has a list of names of its own.
struct Machine(Child);

impl Network {
    /// A switch with the harness on it, and the cables: the kernel's unless others are given. `third` belongs to one cluster, and so does
    /// `directory`.
    pub fn make(third: u8, directory: &Path, noisy: Option<NoisyCables>) -> Network {
        let hosts = directory.join("hosts");
        fs::write(&hosts, "127.0.0.1 localhost\n").expect("writing the list of names");
        fs::set_permissions(&hosts, fs::Permissions::from_mode(0o644)).expect("chmod");
        let switch = Machine::start(&hosts);
        run_in(switch.pid(), "ip", "link add br0 type bridge");
        run_in(switch.pid(), "ip", "link set br0 up");
        let network = Network { third, hosts, switch, machines: Vec::new(), noisy };
        network.prepare_faults();
        let cable = format!("pgaf{third}");
        network.plug_in(std::process::id(), &cable, Place::Harness);
        network
    }

    /// A machine for that server.
    pub fn add(&mut self, place: Place) -> Pid {
        let machine = Machine::start(&self.hosts);
        let pid = machine.pid();
        run_in(pid, "ip", "link set lo up");
        self.plug_in(pid, "eth0", place);
        self.machines.push((place, machine));
        pid
    }

    fn plug_in(&self, machine: Pid, cable: &str, place: Place) {
        let (switch, port) = (self.switch.pid(), port(place));
        match &self.noisy {
            Some(noisy) => noisy.lay((machine, cable), (switch, &port)),
            None => {
                let ends = format!("link add {cable} type veth peer name {port} netns {switch}");
                run_in(machine, "ip", &ends);
            }
        }
        run_in(switch, "ip", &format!("link set {port} master br0 up"));
        run_in(machine, "ip", &format!("address add {}/24 dev {cable}", self.host(place)));
        run_in(machine, "ip", &format!("link set {cable} up"));
    }

    fn machine(&self, place: Place) -> Pid {
        let found = self.machines.iter().find(|(there, _)| *there == place);
        found.unwrap_or_else(|| panic!("no machine for {place:?}")).1.pid()
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

    /// Does something in the network of a server's machine, as a program that runs there would: what it opens stays there.
    pub fn on<T: Send>(&self, server: &Server, work: impl FnOnce() -> T + Send) -> T {
        in_network_of(self.machine(server.place), work)
    }

    /// Gives a server's machine another address; returns it.
    pub fn move_away(&self, place: Place) -> String {
        let machine = self.machine(place);
        let (old, new) = (self.host(place), self.address(place.octet() + MOVED));
        run_in(machine, "ip", &format!("address add {new}/24 dev eth0"));
        run_in(machine, "ip", &format!("address del {old}/24 dev eth0"));
        // The second address of a network goes with the first one, unless it was promoted.
        run_in(machine, "ip", &format!("address replace {new}/24 dev eth0"));
        new
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

/// Where the cable of a server is plugged in.
fn port(place: Place) -> String {
    format!("port{}", place.octet())
}

/// Runs a program, its arguments in one string, in the network of a process; what it printed.
fn run_in(network_of: Pid, program: &str, arguments: &str) -> String {
    let output = Command::new("nsenter")
        .args(["-t", &network_of.to_string(), "-n", program])
        .args(arguments.split(' '))
        .output()
        .expect("running nsenter, of package util-linux");
    assert!(output.status.success(), "{program} {arguments}: {}", text(&output));
    text(&output)
}

/// Does something in the network of a process. In a thread of its own, for it is the thread that is in a network.
fn in_network_of<T: Send>(pid: Pid, work: impl FnOnce() -> T + Send) -> T {
    let network = File::open(format!("/proc/{pid}/ns/net")).expect("opening the network of a process");
    let there = || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("going to the network of a process");
        work()
    };
    thread::scope(|scope| scope.spawn(there).join().expect("the thread that goes there"))
}
