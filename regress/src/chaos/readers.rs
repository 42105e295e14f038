//! Readers: a session on each node that looks again and again, and notes what it sees.
use super::history::{Kind, Reading};
use super::load::{Shared, WRITERS};
use super::writers::{COUNTERS, counters};
use crate::deadlines::WRITE;
use crate::server::Server;
use crate::session::{Session, SqlError};
use std::thread;
use std::time::Duration;

const PACE: Duration = Duration::from_millis(60);
const RETRY: Duration = Duration::from_millis(100);

/// A reader of one node until the load ends. A reading for each session.
pub fn read(shared: &Shared, node: &Server) -> Vec<Reading> {
    let mut readings = Vec::new();
    while shared.goes_on() {
        if let Ok(session) = Session::open(&node.app()) {
            let mut reading = Reading { node: node.name.clone(), looks: Vec::new(), halves: Vec::new() };
            while shared.goes_on() && look(&session, &mut reading).is_ok() {
                thread::sleep(PACE);
            }
            readings.push(reading);
        }
        thread::sleep(RETRY);
    }
    readings
}

fn look(session: &Session, reading: &mut Reading) -> Result<(), SqlError> {
    for row in session.rows(COUNTERS, WRITE)? {
        reading.looks.push(counters(row.first().and_then(Option::as_deref).unwrap_or_default()));
    }
    for (writer, kind) in WRITERS.into_iter().enumerate().filter(|(_, kind)| kind.rows() > 1) {
        for row in session.rows(&halves(writer, kind), WRITE)? {
            let seen: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
            reading
                .halves
                .push(format!("of operation {} of writer {writer} {} rows were seen", seen[0], seen[1]));
        }
    }
    Ok(())
}

/// The last transactions of a writer that are not whole.
fn halves(writer: usize, kind: Kind) -> String {
    format!(
        "SELECT number, count(*) FROM chaos_row WHERE writer = {writer} AND number >
         (SELECT max(number) - 20 FROM chaos_row WHERE writer = {writer}) GROUP BY 1 HAVING count(*) <> {}",
        kind.rows()
    )
}
