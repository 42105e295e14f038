//! The report of one tick, from memory and facts.
use crate::memory::Memory;
use crate::observe::Facts;
use crate::pg;
use crate::shared::{clock, enrolled, first_write};
use fsm::message::{FirstWrite, Report};
use fsm::state::State;
use fsm::units::{Lsn, Millis, RuleNumber, Timeline};
use node_files::Secrets;

/// What to tell. A node that pledges or has pledged tells its end of WAL only once it is final.
pub fn of(memory: &Memory, facts: &Facts, pledged_end: Option<(Lsn, Timeline)>) -> Report {
    let pledging = memory.role == State::ReportLsn || memory.goal == State::ReportLsn;
    let seen = facts.end.map(|lsn| (lsn, facts.timeline));
    let end = if pledging && facts.in_recovery { pledged_end } else { seen };
    // A rule counts while the server's own flag agrees with it.
    let in_force = pg::sync_standbys_defined() != memory.rule.is_empty();
    Report {
        term: memory.term,
        pledge: memory.pledge,
        history: memory.history,
        timeline: end.map_or(facts.timeline, |(_, timeline)| timeline),
        lsn: end.map(|(lsn, _)| lsn),
        promotion: memory.promotion,
        rule: if in_force { memory.rule.number } else { RuleNumber(0) },
        in_force: Some(memory.rule.clone()),
        named: memory.named(),
        epoch: memory.monitor_epoch,
        checkpoint_timeline: facts.checkpoint_timeline,
        receiver: facts.receiver,
        followers: facts.followers.clone(),
        first_write: first_write::untold().map(|(term, at)| FirstWrite {
            term,
            ago: Millis(clock::boottime_ns().saturating_sub(at) / 1_000_000),
        }),
        in_recovery: facts.in_recovery,
        fenced: facts.fenced,
        leaving: facts.stopping && !facts.in_recovery && facts.fenced,
        boot: enrolled::boot(),
        life: enrolled::life(),
        system_identifier: pg::system_identifier(),
        // A file that cannot be read holds no password for us; the monitor gives it again.
        passwords: Secrets::read(memory.dir()).map(|secrets| secrets.numbers()).unwrap_or_default(),
        ..Report::of(memory.node, memory.role)
    }
}
