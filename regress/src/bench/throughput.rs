//! What the library costs: pgbench on the same data directories with the library and without it, in turns.
//!
//! Without it the servers are what PostgreSQL is alone: the same replication, the same synchronous standby, no keeper, no
//! fence, no monitor that hears of them. Turns change sides each time (with, without, without, with), so that a machine that gets slower
//! favours neither.
use super::figures::Measurement;
use crate::cluster::Cluster;
use crate::deadlines::{REJOIN, START};
use crate::oracles::tell;
use crate::server::{Server, text};
use crate::wait;

const SECONDS: &str = "10";
const CLIENTS: &str = "4";
const SCALE: &str = "10";

/// The throughput in transactions a second on both sides, and the ratio within each pair of turns.
pub fn measure(standbys: usize, pairs: usize) -> Vec<Measurement> {
    let mut cluster = Cluster::empty("throughput");
    if standbys == 0 {
        cluster.create_monitor();
        cluster.create_node();
        cluster.wait_state(cluster.node(1), "single", START);
    } else {
        cluster = cluster.with_nodes(standbys + 1);
    }
    let primary = cluster.node(1);
    pgbench(primary, &["-i", "-q", "-s", SCALE]);
    let rule = primary.superuser("postgres", "SHOW synchronous_standby_names").expect("asking for the rule");
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        let with_first = pair % 2 == 0;
        for with_library in [with_first, !with_first] {
            restart(&cluster, with_library, &rule);
            // The pages and the plans of a server that has just started are not what is compared.
            pgbench(primary, &["-N", "-n", "-c", CLIENTS, "-T", "2"]);
            let figure = transactions_per_second(primary);
            tell(&format!(
                "throughput with {standbys} standby: pair {}: {} the library {figure:.0} transactions a second",
                pair + 1,
                if with_library { "with" } else { "without" }
            ));
            if with_library { with.push(figure) } else { without.push(figure) }
        }
    }
    restart(&cluster, true, &rule);
    let ratios = with.iter().zip(&without).map(|(with, without)| with / without).collect();
    let situation = if standbys == 0 { "alone".to_owned() } else { format!("{standbys}_standby") };
    vec![
        Measurement::new(format!("throughput.{situation}.with"), "transactions/s", with),
        Measurement::new(format!("throughput.{situation}.without"), "transactions/s", without),
        Measurement::new(format!("throughput.{situation}.ratio"), "with/without", ratios),
    ]
}

/// Standbys go first and come first: nobody is elected in between.
fn restart(cluster: &Cluster, with_library: bool, rule: &str) {
    for node in cluster.nodes.iter().rev() {
        node.stop();
    }
    let primary = cluster.node(1);
    if with_library {
        primary.start();
        cluster.nodes[1..].iter().for_each(Server::start);
        if cluster.nodes.len() == 1 {
            cluster.wait_state(primary, "single", START);
        } else {
            let writer = cluster.wait_settled_within(REJOIN);
            assert_eq!(writer.name, primary.name, "the same node is measured all the time");
        }
        return;
    }
    let alone = |node: &Server, rule: &str| {
        node.start_with(&format!("-c shared_preload_libraries= -c synchronous_standby_names='{rule}'"));
    };
    alone(primary, rule);
    cluster.nodes[1..].iter().for_each(|node| alone(node, ""));
    let standbys = (cluster.nodes.len() - 1).to_string();
    wait::until("every standby streams", REJOIN, || {
        let streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        match primary.superuser("postgres", streaming) {
            Ok(count) if count == standbys => Ok(()),
            other => Err(other),
        }
    });
}

fn transactions_per_second(primary: &Server) -> f64 {
    let said = pgbench(primary, &["-N", "-n", "-c", CLIENTS, "-T", SECONDS]);
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let figure = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    figure.unwrap_or_else(|| panic!("pgbench told no tps: {said}"))
}

fn pgbench(server: &Server, arguments: &[&str]) -> String {
    let output = server
        .account
        .command(server.install.program("pgbench"))
        .args(["-h", &server.socket(), "-p", &server.port.to_string(), "-U", &server.account.name])
        .args(arguments)
        .arg("postgres")
        .output()
        .expect("running pgbench, of PostgreSQL's package");
    assert!(output.status.success(), "pgbench {arguments:?}: {}", text(&output));
    text(&output)
}
