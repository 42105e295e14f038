//! Bringing the assigned rule in force.
use super::settings::Key;
use super::{Outcome, Trouble};
use crate::shared::rule as bound;
use crate::tick::Keeper;
use crate::{lease, pg};
use fsm::message::Assignment;
use fsm::rule::Rule;
use fsm::state::State;
use fsm::units::Lsn;

/// A rule on its way: since when it is in force, and up to where its members must have flushed.
pub struct Covering {
    rule: Rule,
    up_to: Lsn,
}

/// The assigned rule is in force. On a writer that takes a new one, its members have also flushed all WAL that was
/// there when it came in force: only then does it cover every commit.
pub async fn apply(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    let rule = &told.rule;
    if rule.is_empty() && keeper.memory.role == State::Primary {
        // In a moment commits wait for nobody: from here on contact with the members of the rule before proves nothing (law 3),
        // however long it takes until this rule is seen in force.
        keeper.lease.hold(Some(rule));
    }
    if rule.is_empty() {
        // Before the waits are released, for those commits are to be acknowledged.
        bound::set_free();
    }
    let wanted = [
        (Key::SynchronousStandbyNames, Some(rule.synchronous_standby_names())),
        // Can have come with a copy of another node's files, and would refuse every write.
        (Key::DefaultTransactionReadOnly, None),
    ];
    keeper.settings.make(&mut keeper.local, &wanted).await?;
    if pg::sync_standbys_defined() == rule.is_empty() {
        return Ok(Outcome::Soon("the server has not taken up the rule yet".to_owned()));
    }
    if !rule.is_empty() {
        // Whoever inserts a commit from here on finds the flag set, and waits; what was inserted before is covered by the record
        // below. Before a promotion there is no commit yet.
        bound::bind_after(if keeper.facts.in_recovery { Lsn(0) } else { pg::insert_lsn() });
    }
    let new = keeper.memory.rule != *rule;
    // Before a promotion nobody writes: the WAL that is there is what the members pledged with.
    if new && told.goal != State::PreparePromotion && !rule.is_empty() && !keeper.facts.in_recovery {
        let up_to = match keeper.covering.take() {
            Some(covering) if covering.rule == *rule => covering.up_to,
            Some(_) | None => pg::worker::write_idle_record(),
        };
        let holders = lease::flushed_by(up_to);
        if !rule.is_met_by(&holders) {
            keeper.covering = Some(Covering { rule: rule.clone(), up_to });
            return Ok(Outcome::Soon(format!("the members have not flushed the WAL up to {up_to} yet")));
        }
    }
    keeper.memory.keep(|state| state.rule = rule.clone())?;
    Ok(Outcome::Done)
}
