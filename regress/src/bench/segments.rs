//! What small segments of WAL cost: a bulk load into PostgreSQL without us, with segments as `pg_autoctl create` chooses them and as initdb
//! does, in turns. What they give is in the pauses, and in `floor`.
use super::figures::Measurement;
use crate::cluster::Cluster;
use crate::oracles::tell;
use crate::server::Server;
use std::time::Instant;

/// Megabytes: ours, and PostgreSQL's default.
const SIZES: [&str; 2] = ["4", "16"];
/// What `create` writes, on servers that bring their WAL to the disk.
const CONFIGURATION: &str =
    "fsync = on\nmin_wal_size = '80MB'\nmax_wal_size = '1GB'\nwal_keep_size = '128MB'\nwal_log_hints = on";
/// 290 MB.
const LOAD: &str =
    "CREATE TABLE load AS SELECT n, repeat('x', 200) AS text FROM generate_series(1, 1200000) AS n";

/// How long the load takes with each size, and the ratio within each pair.
pub fn measure(pairs: usize) -> Vec<Measurement> {
    let mut cluster = Cluster::empty("segments");
    for size in SIZES {
        let server = cluster.next_node();
        server.initdb_with(&["--wal-segsize", size], CONFIGURATION);
        server.start_with("");
        load(&server);
        cluster.nodes.push(server);
    }
    let mut loads = [Vec::new(), Vec::new()];
    for pair in 0..pairs {
        for side in if pair % 2 == 0 { [0, 1] } else { [1, 0] } {
            let took = load(&cluster.nodes[side]);
            tell(&format!("segments of {} MB: pair {}: loaded in {took:.0} ms", SIZES[side], pair + 1));
            loads[side].push(took);
        }
    }
    let [ours, usual] = loads;
    let ratios = ours.iter().zip(&usual).map(|(ours, usual)| ours / usual).collect();
    vec![
        Measurement::new("segments.bulk_load.4MB".to_owned(), "ms", ours),
        Measurement::new("segments.bulk_load.16MB".to_owned(), "ms", usual),
        Measurement::new("segments.bulk_load.ratio".to_owned(), "4MB/16MB", ratios),
    ]
}

fn load(server: &Server) -> f64 {
    sql(server, "CHECKPOINT");
    let since = Instant::now();
    sql(server, LOAD);
    let took = since.elapsed().as_secs_f64() * 1000.0;
    sql(server, "DROP TABLE load");
    took
}

fn sql(server: &Server, sql: &str) {
    server.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}
