//! The table `failover`: when each failover and switchover reached which phase.
use super::write;
use crate::error::Error;
use crate::pg;
use fsm::message::FirstWrite;
use fsm::monitor::timing::Phase;
use fsm::units::{Millis, NodeId, Term};

/// A year: the writer may have been out of contact meanwhile. What is older is no timestamp.
const LONGEST: Millis = Millis(365 * 86_400_000);

/// Writes down that a group's term has reached a phase. `cause` is what a new one was opened for.
pub fn note(serial: i32, phase: Phase, cause: &'static str) -> Result<(), Error> {
    match phase {
        Phase::Convicted { term, old_writer, suspected } => write(
            // A monitor that is built from its nodes may open again a term that it remembers.
            "INSERT INTO pgautofailover.failover (groupserial, term, cause, old_writer, suspected, convicted)
             SELECT $1, $2, $3, $4, t.now - pg_catalog.make_interval(secs => $5), t.now
               FROM (SELECT pg_catalog.clock_timestamp() AS now) AS t
             ON CONFLICT DO NOTHING",
            &[
                serial.into(),
                number(term).into(),
                cause.into(),
                old_writer.map(|writer| writer.0).into(),
                seconds(pg::now().since(suspected)).into(),
            ],
        ),
        Phase::Pledged { term, winner } => write(
            // The clock may have been set back in between.
            "UPDATE pgautofailover.failover SET winner = $3, pledged = greatest(pg_catalog.clock_timestamp(), convicted)
              WHERE groupserial = $1 AND term = $2 AND promoted IS NULL",
            &arguments(serial, term, winner),
        ),
        Phase::Promoted { term, winner } => write(
            "UPDATE pgautofailover.failover
                SET winner = $3, promoted = greatest(pg_catalog.clock_timestamp(), pledged)
              WHERE groupserial = $1 AND term = $2 AND promoted IS NULL",
            &arguments(serial, term, winner),
        ),
    }
}

/// Writes down the first write of a reign, as its writer tells it. No earlier than it was recorded, and later than told only by the
/// way of the report; one that the group does not know of, or knows already, changes nothing.
pub fn first_write(serial: i32, writer: NodeId, first: FirstWrite) -> Result<(), Error> {
    let [serial, term, writer] = arguments(serial, first.term, writer);
    write(
        "UPDATE pgautofailover.failover
            SET first_write = greatest(pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $4), promoted)
          WHERE groupserial = $1 AND term = $2 AND winner = $3 AND promoted IS NOT NULL AND first_write IS NULL",
        &[serial, term, writer, seconds(first.ago.min(LONGEST)).into()],
    )
}

fn arguments(serial: i32, term: Term, node: NodeId) -> [pgrx::datum::DatumWithOid<'static>; 3] {
    [serial.into(), number(term).into(), node.0.into()]
}

fn number(term: Term) -> i64 {
    term.0.cast_signed()
}

fn seconds(time: Millis) -> f64 {
    time.0 as f64 / 1_000.0
}
