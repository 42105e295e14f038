//! The checkers, checked: two servers that know nothing of each other must be found out.
use regress::cluster::Cluster;
use regress::ledger::{Ledger, Manner};
use regress::server::{APP, APP_PASSWORD, Server, text};
use regress::wait;
use regress::witness::Witness;
use std::fs;
use std::time::Duration;

/// A server without any part of ours: initdb, a role, and the oracles' tables.
fn plain_server(cluster: &mut Cluster) {
    let server = cluster.next_node();
    let initdb = cluster.run(
        server
            .account
            .command(server.install.program("initdb"))
            .args(["--no-sync", "--auth-local=trust", "--auth-host=scram-sha-256", "-D"])
            .arg(&server.pgdata),
    );
    assert!(initdb.status.success(), "initdb: {}", text(&initdb));
    let settings = format!(
        "listen_addresses = '{}'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\n",
        server.host,
        server.port,
        cluster.directory().display()
    );
    let file = server.pgdata.join("postgresql.auto.conf");
    fs::write(&file, settings).expect("writing postgresql.auto.conf");
    server.start();
    let sql = format!(
        "CREATE ROLE {APP} LOGIN PASSWORD '{APP_PASSWORD}';
         CREATE TABLE ledger (id bigint PRIMARY KEY); CREATE TABLE witness (id bigint PRIMARY KEY, node text NOT NULL);
         GRANT ALL ON ledger, witness TO {APP}"
    );
    server.superuser("postgres", &sql).unwrap_or_else(|error| panic!("preparing {}: {error}", server.name));
    cluster.nodes.push(server);
}

fn wait_for_rows(server: &Server, table: &str) {
    wait::until("some rows are written", Duration::from_secs(10), || {
        match server.sql(&format!("SELECT count(*) > 20 FROM {table}")) {
            Ok(answer) if answer == "t" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn two_writers_are_found_out() {
    let mut cluster = Cluster::empty("two");
    plain_server(&mut cluster);
    plain_server(&mut cluster);
    let witness = Witness::start(&cluster);
    wait_for_rows(cluster.node(2), "witness");
    assert!(!witness.finish().is_empty());
}

#[test]
fn one_writer_is_not_accused() {
    let mut cluster = Cluster::empty("one");
    plain_server(&mut cluster);
    let witness = Witness::start(&cluster);
    wait_for_rows(cluster.node(1), "witness");
    assert_eq!(witness.finish(), Vec::<String>::new());
}

#[test]
fn a_lost_row_is_missed() {
    let mut cluster = Cluster::empty("lost");
    plain_server(&mut cluster);
    let ledger = Ledger::start(&cluster, Manner::usual(2));
    wait_for_rows(cluster.node(1), "ledger");
    let taken = cluster.node(1).sql("DELETE FROM ledger WHERE id = 7 RETURNING id");
    assert_eq!(taken.as_deref().ok(), Some("7"));
    assert_eq!(ledger.finish(cluster.node(1)), [7]);
}
