//! Logs are part of the result: a server that panicked, or died of something that no test did to it, fails the case.

/// What may be logged at FATAL, because killing, stopping and restarting servers causes it.
const EXPECTED: &[&str] = &[
    "terminating connection",
    "terminating background worker",
    "terminating walreceiver process",
    // Its upstream is silent: unplugged, or frozen.
    "terminating walreceiver due to timeout",
    "terminating walsender process",
    "terminating logical replication",
    "the database system is",
    "could not connect to the primary server",
    "could not receive data from WAL stream",
    "could not send data to WAL stream",
    "could not start WAL streaming",
    "could not send end-of-streaming message to primary",
    "connection to client lost",
    // A receiver that was about to stream when its node pledged: the gate, doing its work.
    "this node was cut off from its upstream",
    // A session that ends drops its temporary tables, which is a commit like others: at the next chance somebody else does it.
    "this node may not commit",
    "this node serves no sessions",
    // What a backend says that a shutdown meets in the middle of a log-in, however young it is.
    "canceling authentication due to timeout",
    "password authentication failed",
    "no pg_hba.conf entry",
    "pg_hba.conf rejects",
    // The first probe of a new node, and the monitor's own worker, may come before what they look for is made.
    "role \"pgautofailover_monitor\" does not exist",
    "database \"pg_auto_failover\" does not exist",
];

/// Panics with the first line that should not be there, and that holds nothing of what is explained.
pub fn check(server: &str, log: &str, explained: &[&str]) {
    let is_explained = |line: &str| explained.iter().any(|text| line.contains(text));
    if let Some(line) = log.lines().find(|line| is_alarming(line) && !is_explained(line)) {
        panic!("{server} logged: {line}");
    }
}

fn is_alarming(line: &str) -> bool {
    const ALWAYS: &[&str] =
        &["PANIC:", "panicked at", "was terminated by signal 11", "was terminated by signal 6"];
    ALWAYS.iter().any(|text| line.contains(text))
        || line.contains("FATAL:") && !EXPECTED.iter().any(|text| line.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_did_is_expected_and_the_rest_is_not() {
        assert!(!is_alarming("FATAL:  terminating connection due to administrator command"));
        assert!(!is_alarming("LOG:  database system is ready to accept connections"));
        assert!(is_alarming("FATAL:  lock file \"postmaster.pid\" already exists"));
        assert!(is_alarming("PANIC:  could not write to file: No space left on device"));
        assert!(is_alarming("LOG:  server process (PID 1) was terminated by signal 11: Segmentation fault"));
    }
}
