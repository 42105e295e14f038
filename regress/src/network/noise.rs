//! Cables that lose frames and deliver the others late, as a rough network does. The kernel's own way (netem) is missing from the kernels
//! of many small machines, so it is done here: the ends of a cable are TAP devices, in the machine and on the switch, and what comes out
//! of one is written into the other.
//!
//! Noise strikes a frame once, on its way into the switch. So between any two machines, and between a client and a machine, each frame is
//! lost with the probability that was asked for, in either direction, and a round trip is late by two delays. Delays are drawn
//! for each frame alone: frames overtake each other.
use super::{Network, in_network_of};
use crate::chaos::random::Random;
use crate::oracles::tell;
use crate::process::Pid;
use std::fs::File;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_tun::Tun;

/// What happens to frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    /// So many of a hundred are lost.
    pub loss_percent: u8,
    /// Each of the others is late by something between nothing and this, in whole milliseconds, each as often as any other.
    pub jitter: Duration,
}

/// The largest frame of a TAP device with the usual MTU of 1500, and room for a tag.
const FRAME: usize = 1518;

/// Where such cables are made; dropping it pulls them all out.
pub struct NoisyCables {
    /// One thread, for all of them.
    runtime: Runtime,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    noise: Option<Noise>,
    random: Random,
}

impl NoisyCables {
    /// Quiet at first. What they do to frames is drawn from the seed.
    pub fn new(seed: u64) -> NoisyCables {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        NoisyCables {
            runtime: runtime.expect("building a runtime"),
            shared: Arc::new(Mutex::new(Shared { noise: None, random: Random::of(seed) })),
        }
    }

    /// Makes one, between two devices that it makes in the networks of those processes.
    pub(super) fn lay(&self, machine: (Pid, &str), switch: (Pid, &str)) {
        let [machine, switch] = [machine, switch].map(|(pid, device)| Arc::new(self.device(pid, device)));
        self.runtime.spawn(carry(Arc::clone(&machine), Arc::clone(&switch), Some(Arc::clone(&self.shared))));
        self.runtime.spawn(carry(switch, machine, None));
    }

    fn device(&self, network_of: Pid, name: &str) -> Tun {
        in_network_of(network_of, || {
            let _runtime = self.runtime.enter();
            let made = Tun::builder().name(name).tap().up().build();
            let made = made.unwrap_or_else(|error| panic!("making the TAP device {name}: {error}"));
            made.into_iter().next().expect("one device")
        })
    }

    fn make(&self, noise: Option<Noise>) {
        self.shared.lock().expect("nobody panics with it in its hand").noise = noise;
    }
}

/// What comes out of one device goes into the other, for as long as both are there.
async fn carry(from: Arc<Tun>, to: Arc<Tun>, noise: Option<Arc<Mutex<Shared>>>) {
    let mut frame = [0; FRAME];
    while let Ok(length) = from.recv(&mut frame).await {
        let fate = noise
            .as_ref()
            .map_or(Fate::AtOnce, |shared| shared.lock().expect("nobody panics with it in its hand").fate());
        let frame = frame[..length].to_vec();
        match fate {
            Fate::Lost => {}
            Fate::AtOnce => deliver(&to, &frame).await,
            Fate::Late(delay) => {
                let to = Arc::clone(&to);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    deliver(&to, &frame).await;
                });
            }
        }
    }
}

async fn deliver(to: &Tun, frame: &[u8]) {
    // A device that is down takes nothing, and nobody is told: as with a real cable.
    drop(to.send(frame).await);
}

enum Fate {
    Lost,
    AtOnce,
    Late(Duration),
}

impl Shared {
    fn fate(&mut self) -> Fate {
        let Some(Noise { loss_percent, jitter }) = self.noise else { return Fate::AtOnce };
        if self.random.below(100) < usize::from(loss_percent) {
            return Fate::Lost;
        }
        Fate::Late(self.random.time(Duration::ZERO, jitter))
    }
}

impl Network {
    /// Whether this machine can make such cables too. Says what is missing, and for which test, when not.
    pub fn can_be_noisy() -> bool {
        let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") else {
            return Network::is_possible();
        };
        let test = thread::current().name().unwrap_or("a scenario").to_owned();
        tell(&format!("skipped: {test}: no TAP devices: /dev/net/tun: {error}"));
        false
    }

    /// From now on every cable is noisy, the one of the harness too, until [`Network::heal`]. In a cluster that has such cables.
    pub fn make_noise(&self, noise: Noise) {
        self.noisy.as_ref().expect("a cluster whose cables can be noisy").make(Some(noise));
    }

    pub(super) fn end_noise(&self) {
        if let Some(cables) = &self.noisy {
            cables.make(None);
        }
    }
}
