//! The README's commands, run as they stand there.
use regress::address::Place;
use regress::cluster::Cluster;
use regress::install::repository;
use std::fs;

/// Every ```sh block, in order: one script, since a reader types them into one shell.
fn script(text: &str) -> String {
    let blocks = text.split("```sh\n").skip(1);
    let mut script = "set -euxo pipefail\n".to_owned();
    for block in blocks {
        script.push_str(block.split("```").next().expect("split gives at least one part"));
    }
    script
}

#[test]
fn the_tutorial_works() {
    // Only its addresses and its directory are used: they keep this run out of the way of others on the machine.
    let cluster = Cluster::empty("readme");
    let text = fs::read_to_string(repository().join("README.md")).expect("reading README.md");
    let ports = [("6000", Place::Monitor), ("6001", Place::Node(1)), ("6002", Place::Node(2))];
    let mut script = script(&text).replace("127.0.0.1", &cluster.monitor.host);
    for (shown, place) in ports {
        script = script.replace(shown, &cluster.port(place).to_string());
    }
    let script = script.replace("$(pg_config --bindir)", &cluster.programs().to_string_lossy());

    let output = cluster.run(
        cluster.monitor.account.command("bash").args(["-c", &script]).env("TMPDIR", cluster.directory()),
    );
    let said = regress::server::text(&output);
    if !output.status.success() {
        stop_what_is_left(&cluster);
    }
    assert!(output.status.success(), "the README's commands: {said}");
    assert!(said.contains("plum"), "the row written after the kill is on the returned node: {said}");
}

/// The script stops its servers itself; when it failed half-way, each lock file below its directory names one.
fn stop_what_is_left(cluster: &Cluster) {
    for play in fs::read_dir(cluster.directory()).into_iter().flatten().flatten() {
        for pgdata in fs::read_dir(play.path()).into_iter().flatten().flatten() {
            let lock = fs::read_to_string(pgdata.path().join("postmaster.pid")).unwrap_or_default();
            if let Some(pid) = lock.lines().next().and_then(|line| line.parse().ok()) {
                regress::process::kill_tree(pid);
            }
        }
    }
}
