//! The monitor's SQL surface, by PostgreSQL's own pg_regress against a private server: `sql/*.sql` and `expected/*.out`,
//! on the stage that `stage.sql` sets up.
use regress::cluster::Cluster;
use regress::install::repository;
use regress::server::text;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn the_monitor_answers_as_expected() {
    let mut cluster = Cluster::empty("sql");
    cluster.create_monitor_of_told_nodes();
    // A copy: the servers' account may not be able to read the checkout, and must not write to it.
    let suite = cluster.directory().join("suite");
    for part in ["sql", "expected"] {
        copy(&repository().join("regress").join(part), &suite.join(part));
    }
    let account = &cluster.monitor.account;
    account.own(&suite);
    let output = cluster.run(
        account
            .command(pg_regress(&cluster))
            .args([
                "--use-existing",
                "--dbname=pg_auto_failover",
                "--inputdir",
                "suite",
                "--outputdir",
                "suite",
            ])
            .arg("--bindir")
            .arg(cluster.programs())
            .arg("--host")
            .arg(cluster.monitor.state_dir())
            .args(["--port", &cluster.monitor.port.to_string(), "--user", &account.name])
            .args(names(&suite.join("sql")))
            .current_dir(cluster.directory()),
    );
    let differences = fs::read_to_string(suite.join("regression.diffs")).unwrap_or_default();
    assert!(output.status.success(), "{}\n{differences}", text(&output));
    cluster.check_logs();
}

/// Debian keeps it with the server's headers, below the directory of pgxs.
fn pg_regress(cluster: &Cluster) -> PathBuf {
    let output =
        cluster.run(cluster.monitor.account.command(cluster.programs().join("pg_config")).arg("--pgxs"));
    let makefile = PathBuf::from(text(&output));
    let pgxs = makefile.parent().expect("pgxs.mk lies in a directory");
    pgxs.join("../test/regress/pg_regress")
}

/// The cases in the order of their names; each leaves the formation it made behind, so that none depends on another.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("reading the cases").flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".sql").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("making a directory");
    for entry in fs::read_dir(from).expect("reading the suite").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copying a case");
    }
}
