//! What must be true of all operations in the end. Pure: a history and a final state in, sentences out.
use std::collections::BTreeMap;
use std::time::Instant;

/// What a writer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One row.
    Plain,
    /// One row, asking not to wait for anybody.
    Asynchronous,
    /// Several rows in one transaction.
    Several,
    /// Two rows in a prepared transaction.
    Prepared,
    /// A counter of its own is raised by one.
    Register,
    /// A row, and what all counters were in the same transaction.
    Audit,
}

impl Kind {
    /// How many rows an operation of this kind leaves.
    pub fn rows(self) -> usize {
        match self {
            Kind::Plain | Kind::Asynchronous | Kind::Audit => 1,
            Kind::Several => 4,
            Kind::Prepared => 2,
            Kind::Register => 0,
        }
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server said that it is done.
    Acknowledged,
    /// The server said that it was not done: SQLSTATE 25006.
    Refused,
    /// Anything else: it may have happened, or may happen yet.
    Unknown,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who did it; each writer has one kind.
    pub writer: usize,
    /// Its number, by which its rows are known.
    pub number: i64,
    /// When it was sent.
    pub started: Instant,
    /// When its outcome was known.
    pub ended: Instant,
    /// How it ended.
    pub outcome: Outcome,
    /// What an acknowledged one returned: the counters, by writer.
    pub counters: BTreeMap<usize, i64>,
}

/// All operations of one writer, in their order.
#[derive(Clone, Debug)]
pub struct Work {
    /// Who.
    pub writer: usize,
    /// What it did.
    pub kind: Kind,
    /// Each of them.
    pub operations: Vec<Operation>,
}

/// What one session of a reader saw on one node, look after look.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The node.
    pub node: String,
    /// The counters, by writer, each time.
    pub looks: Vec<BTreeMap<usize, i64>>,
    /// Transactions that were seen in parts.
    pub halves: Vec<String>,
}

/// What is there in the end.
#[derive(Clone, Debug, Default)]
pub struct Final {
    /// How many rows there are of each writer's operations.
    pub rows: BTreeMap<(usize, i64), usize>,
    /// The counters, by writer.
    pub counters: BTreeMap<usize, i64>,
}

/// Operations by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged ones.
    pub acknowledged: usize,
    /// Refused ones.
    pub refused: usize,
    /// The others.
    pub unknown: usize,
}

/// How many there are of each outcome.
pub fn count<'a>(work: impl IntoIterator<Item = &'a Work>) -> Counts {
    let mut counts = Counts::default();
    for operation in work.into_iter().flat_map(|work| &work.operations) {
        match operation.outcome {
            Outcome::Acknowledged => counts.acknowledged += 1,
            Outcome::Refused => counts.refused += 1,
            Outcome::Unknown => counts.unknown += 1,
        }
    }
    counts
}

/// Every promise that was not kept.
pub fn violations(history: &[Work], readings: &[Reading], end: &Final) -> Vec<String> {
    let mut found = Vec::new();
    for work in history {
        match work.kind {
            Kind::Register => check_counter(work, end, &mut found),
            Kind::Plain | Kind::Asynchronous | Kind::Several | Kind::Prepared | Kind::Audit => {
                check_rows(work, end, &mut found);
            }
        }
    }
    invented(history, end, &mut found);
    stale(history, &mut found);
    for reading in readings {
        check_reading(reading, &mut found);
    }
    found
}

/// An acknowledged operation is there with all its rows, a refused one with none, any other with all or none.
fn check_rows(work: &Work, end: &Final, found: &mut Vec<String>) {
    let all = work.kind.rows();
    for operation in &work.operations {
        let there = end.rows.get(&(work.writer, operation.number)).copied().unwrap_or(0);
        let kept = match operation.outcome {
            Outcome::Acknowledged => there == all,
            Outcome::Refused => there == 0,
            Outcome::Unknown => there == 0 || there == all,
        };
        if !kept {
            found.push(format!(
                "{:?} operation {} of writer {} was {:?}, and {there} of its {all} rows are there",
                work.kind, operation.number, work.writer, operation.outcome
            ));
        }
    }
}

/// No row is there that nobody wrote.
fn invented(history: &[Work], end: &Final, found: &mut Vec<String>) {
    let written: BTreeMap<usize, i64> =
        history.iter().filter_map(|work| Some((work.writer, work.operations.last()?.number))).collect();
    for (writer, number) in end.rows.keys() {
        if written.get(writer).is_none_or(|last| number > last) {
            found.push(format!("row {number} of writer {writer} was written by nobody"));
        }
    }
}

/// A counter rises with each acknowledged operation and by no more than was asked for. One without an outcome may take effect
/// at any later time: its backend may have been left waiting.
fn check_counter(work: &Work, end: &Final, found: &mut Vec<String>) {
    let (mut acknowledged, mut unknown, mut last) = (0, 0, 0);
    for operation in &work.operations {
        match operation.outcome {
            Outcome::Refused => {}
            Outcome::Unknown => unknown += 1,
            Outcome::Acknowledged => {
                acknowledged += 1;
                let value = operation.counters.get(&work.writer).copied().unwrap_or(0);
                if value <= last || value < acknowledged || value > acknowledged + unknown {
                    found.push(format!(
                        "counter {} was raised to {value} after {last}, by {acknowledged} acknowledged and up to {unknown} unknown operations",
                        work.writer
                    ));
                }
                last = value;
            }
        }
    }
    let value = end.counters.get(&work.writer).copied().unwrap_or(0);
    if value < last || value < acknowledged || value > acknowledged + unknown {
        found.push(format!(
            "counter {} is {value} in the end; {acknowledged} operations were acknowledged, the last with {last}, {unknown} are unknown",
            work.writer
        ));
    }
}

/// Whoever commits has seen all that was acknowledged before the transaction began.
///
/// Only of transactions that wrote and were acknowledged: a primary that was replaced, and does not know it yet, may answer a mere
/// read from the past.
fn stale(history: &[Work], found: &mut Vec<String>) {
    let registers: Vec<&Work> = history.iter().filter(|work| work.kind == Kind::Register).collect();
    let audits = history.iter().filter(|work| work.kind == Kind::Audit).flat_map(|work| &work.operations);
    for audit in audits.filter(|audit| audit.outcome == Outcome::Acknowledged) {
        for register in &registers {
            let before = register.operations.partition_point(|operation| operation.ended < audit.started);
            let newest = register.operations[..before]
                .iter()
                .rev()
                .find_map(|operation| operation.counters.get(&register.writer));
            let seen = audit.counters.get(&register.writer);
            if newest.is_some_and(|newest| seen.is_none_or(|seen| seen < newest)) {
                found.push(format!(
                    "audit {} of writer {} was acknowledged and saw counter {} at {seen:?}; {newest:?} had been acknowledged before",
                    audit.number, audit.writer, register.writer
                ));
            }
        }
    }
}

/// Within one session of one node time does not run backwards, and no transaction is seen in parts.
fn check_reading(reading: &Reading, found: &mut Vec<String>) {
    found.extend(reading.halves.iter().map(|half| format!("on {}: {half}", reading.node)));
    for pair in reading.looks.windows(2) {
        if pair[0].iter().any(|(writer, before)| pair[1].get(writer).is_none_or(|after| after < before)) {
            found
                .push(format!("a session on {} went back from {:?} to {:?}", reading.node, pair[0], pair[1]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn work(kind: Kind, writer: usize, outcomes: &[(Outcome, &[(usize, i64)])]) -> Work {
        let zero = Instant::now();
        let at = |ms: usize| zero + Duration::from_millis(u64::try_from(ms).expect("small"));
        let operations = outcomes.iter().enumerate().map(|(n, (outcome, counters))| Operation {
            writer,
            number: i64::try_from(n).expect("small"),
            started: at(2 * n),
            ended: at(2 * n + 1),
            outcome: *outcome,
            counters: counters.iter().copied().collect(),
        });
        Work { writer, kind, operations: operations.collect() }
    }

    fn rows(rows: &[((usize, i64), usize)]) -> Final {
        Final { rows: rows.iter().copied().collect(), counters: BTreeMap::new() }
    }

    use Outcome::{Acknowledged, Refused, Unknown};

    #[test]
    fn rows_are_there_as_their_outcome_says() {
        let history = [work(Kind::Several, 0, &[(Acknowledged, &[]), (Refused, &[]), (Unknown, &[])])];
        let find = |there: &[((usize, i64), usize)]| violations(&history, &[], &rows(there)).len();
        assert_eq!(find(&[((0, 0), 4)]), 0);
        assert_eq!(find(&[((0, 0), 4), ((0, 2), 4)]), 0, "an unknown one may be there");
        assert_eq!(find(&[]), 1, "an acknowledged one is lost");
        assert_eq!(find(&[((0, 0), 3)]), 1, "a part of an acknowledged one is lost");
        assert_eq!(find(&[((0, 0), 4), ((0, 1), 4)]), 1, "a refused one is there");
        assert_eq!(find(&[((0, 0), 4), ((0, 2), 2)]), 1, "half of an unknown one is there");
        assert_eq!(find(&[((0, 0), 4), ((0, 3), 4)]), 1, "one that nobody wrote is there");
        assert_eq!(find(&[((0, 0), 4), ((9, 0), 1)]), 1, "one of nobody is there");
    }

    #[test]
    fn counters_lose_nothing_and_gain_nothing() {
        let find = |outcomes: &[(Outcome, &[(usize, i64)])], end| {
            let end = Final { counters: BTreeMap::from([(0, end)]), ..Final::default() };
            violations(&[work(Kind::Register, 0, outcomes)], &[], &end).len()
        };
        assert_eq!(find(&[(Acknowledged, &[(0, 1)]), (Acknowledged, &[(0, 2)])], 2), 0);
        assert_eq!(find(&[(Acknowledged, &[(0, 1)]), (Unknown, &[]), (Acknowledged, &[(0, 3)])], 3), 0);
        assert_eq!(find(&[(Acknowledged, &[(0, 1)]), (Unknown, &[]), (Acknowledged, &[(0, 2)])], 3), 0);
        assert_eq!(find(&[(Acknowledged, &[(0, 1)]), (Acknowledged, &[(0, 1)])], 2), 1, "one was lost");
        assert_eq!(find(&[(Acknowledged, &[(0, 2)])], 2), 2, "one was done twice");
        assert_eq!(find(&[(Acknowledged, &[(0, 1)]), (Acknowledged, &[(0, 2)])], 1), 1, "lost in the end");
        assert_eq!(find(&[(Refused, &[]), (Acknowledged, &[(0, 2)])], 2), 2, "a refused one was done");
    }

    #[test]
    fn who_commits_has_seen_what_was_acknowledged_before() {
        let register = work(Kind::Register, 0, &[(Acknowledged, &[(0, 1)])]);
        let find = |seen| {
            let audit = work(Kind::Audit, 1, &[(Unknown, &[]), (Acknowledged, &[(0, seen)])]);
            let end = Final { counters: BTreeMap::from([(0, 1)]), ..rows(&[((1, 1), 1)]) };
            violations(&[register.clone(), audit], &[], &end).len()
        };
        assert_eq!((find(1), find(0)), (0, 1));
    }

    #[test]
    fn a_session_does_not_go_back_in_time() {
        let find = |looks: &[i64]| {
            let looks = looks.iter().map(|value| BTreeMap::from([(0, *value)])).collect();
            let reading = Reading { node: "node_1".to_owned(), looks, halves: Vec::new() };
            violations(&[], &[reading], &Final::default()).len()
        };
        assert_eq!((find(&[1, 1, 2]), find(&[1, 2, 1])), (0, 1));
    }
}
