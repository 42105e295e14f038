//! Who talks to whom is encrypted, and with an authority, known.
use connection::{Ssl, SslMode};
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::encryption::Encryption;
use regress::oracles::Oracles;
use regress::server::{Server, text};
use regress::wait;

/// The connections of nodes to the monitor, and of standbys to a primary: how many, and how many are encrypted.
const KEEPERS: &str = "SELECT count(*), count(*) FILTER (WHERE s.ssl) FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) \
                       WHERE a.application_name = 'pg_autoctl keeper' AND a.client_addr IS NOT NULL";
const STANDBYS: &str = "SELECT count(*), count(*) FILTER (WHERE s.ssl) FROM pg_stat_replication r JOIN pg_stat_ssl s USING (pid)";

fn superuser(server: &Server, sql: &str) -> String {
    server.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn psql(cluster: &Cluster, uri: &str) -> (bool, String) {
    let mut command = cluster.node(1).account.command(cluster.node(1).install.program("psql"));
    command.args(["-X", "-At", "-c", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", uri]);
    command.env("PGUSER", regress::server::APP).env("PGPASSWORD", regress::server::APP_PASSWORD);
    let output = cluster.run(&mut command);
    (output.status.success(), text(&output))
}

#[test]
fn what_nobody_asked_for_is_encrypted() {
    let cluster = Cluster::pair("tls");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    assert_eq!(superuser(&cluster.monitor, KEEPERS), "2|2");
    assert_eq!(superuser(primary, STANDBYS), "1|1");
    let conninfo = superuser(standby, "SHOW primary_conninfo");
    assert!(conninfo.contains("sslmode='require' channel_binding='require'"), "{conninfo}");
    assert_eq!(superuser(primary, "SHOW ssl_min_protocol_version"), "TLSv1.2");

    let monitor = cluster.monitor.pgdata.to_str().expect("a plain path");
    let shown = cluster.cli(&["show", "uri", "--pgdata", monitor, "--json"]);
    assert_eq!(shown.matches("sslmode=require").count(), 2, "the monitor's and the formation's: {shown}");
    let uri = format!("postgres://{}:{}/postgres", primary.host, primary.port);
    assert_eq!(psql(&cluster, &format!("{uri}?sslmode=require")), (true, "t".to_owned()));
    let (let_in, said) = psql(&cluster, &format!("{uri}?sslmode=disable"));
    assert!(!let_in && said.contains("no encryption"), "{said}");
    // The keys are the server's alone.
    let keys = superuser(primary, "SHOW ssl_key_file");
    let mode = std::fs::metadata(&keys).expect("the key is there").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600, "{keys}");
    cluster.check_logs();
}

#[test]
fn an_authority_is_asked_for_through_failover_and_rewind() {
    let mut cluster = Cluster::empty("verify");
    let strangers = cluster.authority("strangers");
    cluster.encryption = Encryption::By(Box::new(cluster.authority("ours")));
    let cluster = cluster.with_pair();
    let (old, new) = (cluster.node(1), cluster.node(2));
    assert_eq!(superuser(&cluster.monitor, KEEPERS), "2|2");
    assert!(superuser(new, "SHOW primary_conninfo").contains("sslmode='verify-full' sslrootcert="));
    let node = old.pgdata.to_str().expect("a plain path");
    let shown = cluster.cli(&["show", "uri", "--pgdata", node, "--json"]);
    assert_eq!(shown.matches("sslmode=verify-full&sslrootcert=").count(), 2, "{shown}");
    let uri = cluster.cli(&["show", "uri", "--formation", "default", "--pgdata", node]);
    assert_eq!(psql(&cluster, uri.trim()), (true, "t".to_owned()), "{uri}");

    // The old primary has WAL that nobody else has, and must be rewound.
    let oracles = Oracles::start(&cluster);
    new.freeze();
    superuser(old, "BEGIN; INSERT INTO ledger SELECT generate_series(-100000, -1); ROLLBACK");
    superuser(old, "CHECKPOINT");
    old.kill_tree();
    new.thaw();
    cluster.wait_state(new, "wait_primary", FAILOVER);
    old.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    assert!(old.log().contains("PGDATA is rewound"), "{}", old.log_tail());
    assert_eq!(superuser(new, STANDBYS), "1|1");
    assert!(superuser(old, "SHOW primary_conninfo").contains("sslmode='verify-full' sslrootcert="));
    oracles.finish(&cluster);

    // Another authority, and another name for the same server.
    let place =
        |host: &str| format!("postgres://autoctl_node@{host}:{}/pg_auto_failover", cluster.monitor.port);
    let ours = cluster.encryption.parameters();
    let foreign = format!("?sslmode=verify-full&sslrootcert={}", strangers.file().display());
    let mapped = format!("[::ffff:{}]", cluster.monitor.host);
    for (uri, why) in [
        (place(&cluster.monitor.host) + &foreign, "was not signed by an authority in"),
        (place(&mapped) + &ours, "is for another name"),
    ] {
        let mut command = cluster.pg_autoctl();
        command.args(["show", "state", "--monitor", &uri]).env("PGPASSWORD", &cluster.monitor_password);
        let output = cluster.run(&mut command);
        assert!(text(&output).contains(why), "{uri}: {}", text(&output));
        assert_eq!(output.status.code(), Some(6), "{}", text(&output));
    }
    let mut command = cluster.pg_autoctl();
    let uri = place(&mapped) + &ours.replace("verify-full", "verify-ca");
    command.args(["show", "state", "--monitor", &uri]).env("PGPASSWORD", &cluster.monitor_password);
    let output = cluster.run(&mut command);
    assert!(output.status.success(), "verify-ca asks for no name: {}", text(&output));

    // A standby that is told to trust somebody else alone does not follow, and says why.
    let standby = old.pgdata.to_str().expect("a plain path");
    let set =
        |file: &str| cluster.cli(&["config", "set", "pg_autoctl.ssl_ca_file", file, "--pgdata", standby]);
    set(strangers.file().to_str().expect("a plain path"));
    wait::until("the receiver is refused its upstream's certificate", FAILOVER, || {
        let log = old.log();
        if log.contains("certificate verify failed") { Ok(()) } else { Err(old.log_tail()) }
    });
    superuser(old, "ALTER SYSTEM RESET pg_autoctl.ssl_ca_file");
    superuser(old, "SELECT pg_reload_conf()");
    cluster.wait_settled_within(REJOIN);
}

#[test]
fn without_tls_by_name_and_then_with_it() {
    let mut cluster = Cluster::empty("plain");
    cluster.encryption = Encryption::Off;
    let cluster = cluster.with_pair();
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    assert_eq!(superuser(&cluster.monitor, KEEPERS), "2|0");
    assert_eq!(superuser(primary, STANDBYS), "1|0");
    let monitor = cluster.monitor.pgdata.to_str().expect("a plain path");
    assert!(cluster.cli(&["show", "uri", "--pgdata", monitor]).contains("sslmode=prefer"));
    let enable = |server: &Server, more: &[&str]| {
        let mut command = cluster.pg_autoctl();
        cluster.run(command.args(["enable", "ssl", "--pgdata"]).arg(&server.pgdata).args(more))
    };

    // A node that asked for TLS would lose one that has none.
    let output = enable(standby, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("the server does not speak TLS"), "{}", text(&output));
    for (server, more) in [
        (&cluster.monitor, &[][..]),
        (primary, &["--ssl-mode", "prefer"]),
        (standby, &["--ssl-mode", "prefer"]),
        (primary, &[]),
        (standby, &[]),
    ] {
        let output = enable(server, more);
        assert!(output.status.success(), "{}: {}", server.name, text(&output));
    }
    wait::until("the standby streams over TLS", FAILOVER, || match superuser(primary, STANDBYS).as_str() {
        "1|1" => Ok(()),
        seen => Err(seen.to_owned()),
    });
    assert!(superuser(standby, "SHOW primary_conninfo").contains("sslmode='require'"));
    let any = Ssl::of(SslMode::Require);
    for server in [&cluster.monitor, primary, standby] {
        connection::handshake(&server.host, server.port, &any, FAILOVER).expect("TLS");
    }
    // The keepers asked for TLS where there is some, and so have it when they come again.
    superuser(
        &cluster.monitor,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_autoctl keeper'",
    );
    wait::until("the keepers talk to the monitor over TLS", FAILOVER, || {
        match superuser(&cluster.monitor, KEEPERS).as_str() {
            "2|2" => Ok(()),
            seen => Err(seen.to_owned()),
        }
    });
    for server in [standby, primary, &cluster.monitor] {
        let pgdata = server.pgdata.to_str().expect("a plain path");
        cluster.cli(&["disable", "ssl", "--pgdata", pgdata]);
    }
    standby.stop();
    standby.start();
    cluster.wait_settled_within(REJOIN);
    assert_eq!(superuser(primary, STANDBYS), "1|0");
    cluster.check_logs();
}
