//! An address of its own for each server: 127.20.c.n, where c belongs to one cluster of one test process.
use std::net::{Ipv4Addr, TcpListener};

/// A cluster's part of the loopback network, its own for as long as this value lives.
#[derive(Debug)]
pub struct Subnet {
    third: u8,
    /// A listening socket on an address that no server uses is the lock: the kernel drops it with the process.
    _lock: TcpListener,
}

/// Whom an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The monitor.
    Monitor,
    /// Node 1, 2, ...
    Node(u8),
    /// Somebody on the same network whom nobody knows.
    Stranger,
    /// The tests themselves, and the clients that they play.
    Harness,
}

const LOCK_HOST: u8 = 254;
const LOCK_PORT: u16 = 9_009;
const MONITOR_HOST: u8 = 100;
const NODES: u8 = 8;
const STRANGER: u8 = 200;
const HARNESS: u8 = 254;

impl Subnet {
    /// The first that is free: nobody's lock, and no server left behind on it by a killed run.
    pub fn claim() -> Subnet {
        (1..=250)
            .find_map(|third| {
                let lock = TcpListener::bind((ip(third, LOCK_HOST), LOCK_PORT)).ok()?;
                let subnet = Subnet { third, _lock: lock };
                subnet.is_unused().then_some(subnet)
            })
            .unwrap_or_else(|| {
                panic!("every subnet of 127.20.0.0/16 is in use; are old test servers still running?")
            })
    }

    fn is_unused(&self) -> bool {
        let places = std::iter::once(Place::Monitor).chain((1..=NODES).map(Place::Node));
        places.map(|place| (self.host(place), self.port(place))).all(|at| TcpListener::bind(at).is_ok())
    }

    /// What tells it from those of other clusters.
    pub fn number(&self) -> u8 {
        self.third
    }

    /// The address of a server.
    pub fn host(&self, place: Place) -> String {
        ip(self.third, place.octet()).to_string()
    }

    /// The port of a server: another one for each, since servers may share a directory of Unix sockets.
    pub fn port(&self, place: Place) -> u16 {
        10_000 + u16::from(self.third) * 128 + u16::from(place.octet())
    }
}

impl Place {
    /// The last part of its address.
    pub fn octet(self) -> u8 {
        match self {
            Place::Monitor => MONITOR_HOST,
            Place::Node(n) => n,
            Place::Stranger => STRANGER,
            Place::Harness => HARNESS,
        }
    }
}

fn ip(third: u8, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 20, third, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clusters_never_share_a_subnet() {
        let (first, second) = (Subnet::claim(), Subnet::claim());
        assert_ne!(first.host(Place::Node(1)), second.host(Place::Node(1)));
        assert_ne!(first.port(Place::Monitor), second.port(Place::Monitor));
    }
}
