//! The faults of the network, checked: a machine whose port is closed answers, unless something stands in between.
use regress::cluster::Cluster;
use regress::network::Network;
use regress::server::Server;

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
