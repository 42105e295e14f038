//! The faults of the network, checked: a machine whose port is closed answers, unless something stands in between.
use regress::cluster::Cluster;
use regress::network::{Network, Noise};
use regress::oracles::tell;
use regress::server::Server;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

/// Whether a packet gets there and the answer back: a closed port refuses, a cut cable is silent.
fn reaches(from: &Server, to: &Server) -> bool {
    let attempt = format!("timeout 0.5 bash -c ': < /dev/tcp/{}/{}' 2>/dev/null", to.host, to.port);
    let status = from.account.root_command("sh").args(["-c", &attempt]).status().expect("running sh");
    match status.code() {
        Some(1) => true,
        Some(124) => false,
        other => panic!("{attempt}: exit status {other:?}"),
    }
}

#[test]
fn what_is_cut_is_silent_and_what_is_healed_answers() {
    if !Network::is_possible() {
        return;
    }
    let mut cluster = Cluster::on_machines("cables");
    let nodes = [0; 3].map(|_| {
        let node = cluster.next_machine();
        cluster.nodes.push(node.clone());
        node
    });
    let [one, two, three] = &nodes;
    let network = cluster.network();
    let pairs = [(one, two), (two, one), (one, three)];
    let seen = || pairs.map(|(from, to)| reaches(from, to));

    assert_eq!(seen(), [true; 3]);
    // An answer comes back the other way: neither gets one.
    network.cut(one, two);
    assert_eq!(seen(), [false, false, true]);
    network.mend(one, two);
    assert_eq!(seen(), [true; 3]);
    network.separate(one, two);
    network.lose(three, 100);
    assert_eq!(seen(), [false; 3]);
    network.heal();
    network.unplug(one);
    network.slow_down(two, 512);
    assert_eq!(seen(), [false; 3]);
    network.heal();
    assert_eq!(seen(), [true; 3]);
}

const DATAGRAMS: u32 = 2000;
/// Longer than the longest delay: what has not come by then is lost.
const SILENCE: Duration = Duration::from_millis(500);

/// Sends numbered datagrams from one machine to another, one each millisecond; which ones came, in that order, and how late.
fn send(network: &Network, from: &Server, to: &Server) -> Vec<(u32, Duration)> {
    let [sender, receiver] = [from, to]
        .map(|server| network.on(server, || UdpSocket::bind((server.host.as_str(), 0)).expect("binding")));
    receiver.set_read_timeout(Some(SILENCE)).expect("setting a limit");
    sender.connect(receiver.local_addr().expect("an address")).expect("connecting");
    let begun = Instant::now();
    let due = |number: u32| Duration::from_millis(number.into());
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..DATAGRAMS {
                thread::sleep(due(number).saturating_sub(begun.elapsed()));
                sender.send(&number.to_ne_bytes()).expect("sending");
            }
        });
        let mut number = [0; 4];
        let mut came = Vec::new();
        while receiver.recv(&mut number).is_ok() {
            let number = u32::from_ne_bytes(number);
            came.push((number, begun.elapsed().saturating_sub(due(number))));
        }
        came
    })
}

#[test]
fn a_noisy_cable_loses_and_delays_what_it_was_told_to() {
    if !Network::can_be_noisy() {
        return;
    }
    let mut cluster = Cluster::on_noisy_machines("noise", 1);
    let nodes = [0; 2].map(|_| {
        let node = cluster.next_machine();
        cluster.nodes.push(node.clone());
        node
    });
    let [one, two] = &nodes;
    let network = cluster.network();
    let in_order = |came: &[(u32, Duration)]| came.is_sorted_by_key(|(number, _)| *number);

    let quiet = send(network, one, two);
    assert_eq!(quiet.len(), DATAGRAMS as usize, "a quiet cable loses nothing");
    assert!(in_order(&quiet), "nothing overtakes another on a quiet cable");

    network.make_noise(Noise { loss_percent: 5, jitter: Duration::from_millis(50) });
    for (from, to) in [(one, two), (two, one)] {
        let came = send(network, from, to);
        let lost = DATAGRAMS as usize - came.len();
        let mean = came.iter().map(|(_, late)| late.as_secs_f64()).sum::<f64>() / came.len() as f64;
        tell(&format!(
            "{lost} of {DATAGRAMS} datagrams lost; the others late by {:.0} ms on average",
            mean * 1000.0
        ));
        // 100, give or take four times the deviation that chance has.
        assert!((60..=140).contains(&lost), "{lost} of {DATAGRAMS} lost");
        assert!(!in_order(&came), "delays differ, so some overtake others");
    }
    network.heal();
    assert!(in_order(&send(network, two, one)), "quiet again");
}
