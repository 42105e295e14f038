//! Certificates are changed while servers run, and no write waits for it.
use connection::{Ssl, SslMode, handshake};
use regress::cluster::Cluster;
use regress::deadlines::{COMMAND, REJOIN};
use regress::oracles::{Oracles, tell};
use regress::server::{Server, text};
use std::time::{Duration, Instant};

/// Further than a write may wait for a certificate.
const NO_PAUSE: Duration = Duration::from_millis(1000);

fn shown(server: &Server) -> Vec<u8> {
    let certificate = handshake(&server.host, server.port, &Ssl::of(SslMode::Require), COMMAND);
    certificate.unwrap_or_else(|error| panic!("{}: {error}", server.name)).to_vec()
}

fn walsender(server: &Server) -> String {
    server.superuser("postgres", "SELECT pid FROM pg_stat_replication").expect("asking the primary")
}

#[test]
fn a_new_certificate_pauses_nothing() {
    let cluster = Cluster::pair("cert");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let oracles = Oracles::start(&cluster);
    for server in [primary, standby, &cluster.monitor] {
        let (before, stream, started) = (shown(server), walsender(primary), Instant::now());
        cluster.cli(&["enable", "ssl", "--pgdata", server.pgdata.to_str().expect("a plain path")]);
        let took = started.elapsed();
        assert_ne!(shown(server), before, "{} shows its old certificate", server.name);
        assert_eq!(walsender(primary), stream, "the standby's connection stands");
        oracles.wait_for_writes();
        let pause = oracles.longest_pause(started);
        tell(&format!(
            "certificate of {}: changed in {} ms, longest pause in writes {} ms",
            server.name,
            took.as_millis(),
            pause.as_millis()
        ));
        assert!(pause < NO_PAUSE, "writes paused for {pause:?}");
    }

    // From the operator's own authority, and back; what the server could not use changes nothing.
    let authority = cluster.authority("ours");
    let enable = |server: &Server, options: &[String]| {
        let mut command = cluster.pg_autoctl();
        cluster.run(command.args(["enable", "ssl", "--pgdata"]).arg(&server.pgdata).args(options))
    };
    let started = Instant::now();
    let mut mixed = authority.options(&primary.host);
    mixed[3] = authority.sign("elsewhere.example").1.display().to_string();
    let elsewhere = authority.options("elsewhere.example");
    for (options, why) in [
        (&mixed, "is not that of the certificate"),
        (&elsewhere, "is for another name"),
        // The standby's certificate is its own work still.
        (&authority.options(&primary.host), "was not signed by an authority in"),
    ] {
        let before = shown(primary);
        let output = enable(primary, options);
        assert!(!output.status.success() && text(&output).contains(why), "{}", text(&output));
        assert_eq!(shown(primary), before);
    }
    // First the certificates of all, then the authority that all are asked for.
    for (server, options) in [(primary, 4), (standby, 4), (primary, 6), (standby, 6)] {
        let output = enable(server, &authority.options(&server.host)[..options]);
        assert!(output.status.success(), "{}: {}", server.name, text(&output));
    }
    oracles.wait_for_writes();
    let pause = oracles.longest_pause(started);
    tell(&format!("to verify-full by an authority: longest pause in writes {} ms", pause.as_millis()));

    // What the nodes have now is what they come back with.
    standby.stop();
    standby.start();
    cluster.wait_settled_within(REJOIN);
    let conninfo = standby.superuser("postgres", "SHOW primary_conninfo").expect("asking the standby");
    assert!(conninfo.contains("sslmode='verify-full'"), "{conninfo}");
    oracles.finish(&cluster);
}
