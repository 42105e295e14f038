//! Bringing the assigned rule in force.
use super::settings::Key;
use super::{Outcome, Trouble, io_trouble};
use crate::shared::rule as bound;
use crate::tick::Keeper;
use crate::{impostors, lease, pg};
use fsm::message::Assignment;
use fsm::rule::Rule;
use fsm::state::State;
use fsm::units::Lsn;
use std::time::Duration;
use tokio::time::Instant;

/// Who has not read its configuration after that is asked once more.
const REMIND: Duration = Duration::from_millis(500);

/// A rule on its way: since when it is in force, and up to where its members must have flushed.
pub struct Covering {
    rule: Rule,
    up_to: Lsn,
}

/// The assigned rule is in force: every process that releases commits or has them wait goes by it. On a writer that takes a
/// new one, its members have also flushed all WAL that was there when it came in force: only then does it cover every commit.
pub async fn apply(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    put_in_force(keeper, &told.rule, told.goal).await
}

/// The same, whoever asks for it.
pub async fn put_in_force(keeper: &mut Keeper, rule: &Rule, goal: State) -> Result<Outcome, Trouble> {
    if rule.is_empty() && keeper.memory.role == State::Primary {
        // In a moment commits wait for nobody: from here on contact with the members of the rule before proves nothing (law 3),
        // however long it takes until this rule is seen in force.
        keeper.lease.hold(Some(rule));
    }
    if rule.is_empty() {
        // Before the waits are released, for those commits are to be acknowledged. And nobody has to have read the number of the
        // rule before.
        bound::set_free();
        bound::demand(0);
    }
    let number = write(keeper, rule).await?;
    if pg::sync_standbys_defined() == rule.is_empty() {
        return Ok(Outcome::Soon("the server has not taken up the rule yet".to_owned()));
    }
    if let Some(number) = number {
        // Demanded first: who begins to stream after the look has read it.
        bound::demand(number);
        if let Some(why) = impostors::disagreement(rule, number) {
            remind(keeper)?;
            return Ok(Outcome::Soon(why));
        }
        // Whoever inserts a commit from here on finds the flag set, and waits; what was inserted before is covered by the record
        // below. Before a promotion there is no commit yet.
        bound::bind_after(if keeper.facts.in_recovery { Lsn(0) } else { pg::insert_lsn() });
    }
    keeper.reminded = None;
    let new = keeper.memory.rule != *rule;
    // Before a promotion nobody writes: the WAL that is there is what the members pledged with.
    if new && goal != State::PreparePromotion && !rule.is_empty() && !keeper.facts.in_recovery {
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
    keeper.news |= new;
    keeper.memory.keep(|state| state.rule = rule.clone())?;
    Ok(Outcome::Done)
}

/// Writes a rule that is to be in force after the promotion, while that goes on: [`apply`] follows, and nothing commits before.
pub async fn write_ahead(keeper: &mut Keeper, rule: &Rule) -> Result<(), Trouble> {
    // Without one there is nothing to write that a standby does not have, and commits are set free by `apply` alone.
    if !rule.is_empty() {
        write(keeper, rule).await?;
    }
    Ok(())
}

/// Writes the names and, when they name somebody, their number; returns that. No two changes have the same, and none is
/// written before its names: who has read the number goes by them.
async fn write(keeper: &mut Keeper, rule: &Rule) -> Result<Option<u32>, Trouble> {
    let names = Some(rule.synchronous_standby_names());
    let (settings, local) = (&mut keeper.settings, &mut keeper.local);
    let present = settings.value(local, Key::RuleNumber).await?.and_then(|number| number.parse().ok());
    let stands = settings.value(local, Key::SynchronousStandbyNames).await? == names;
    let (number, mut wanted) = match present {
        _ if rule.is_empty() => (None, vec![(Key::SynchronousStandbyNames, names), (Key::RuleNumber, None)]),
        Some(number) if stands => (Some(number), Vec::new()),
        _ => {
            let next = bound::next_number(present.unwrap_or(0));
            // Without a number first: an interruption must not leave the old one with new names.
            let number = [(Key::RuleNumber, None), (Key::SynchronousStandbyNames, names)];
            (Some(next), number.into_iter().chain([(Key::RuleNumber, Some(next.to_string()))]).collect())
        }
    };
    // Can have come with a copy of another node's files, and would refuse every write.
    wanted.push((Key::DefaultTransactionReadOnly, None));
    if keeper.memory.role.writes() {
        // It followed somebody once. Not in the way of the first write.
        wanted.push((Key::PrimaryConninfo, Some(String::new())));
    }
    settings.make(local, &wanted).await?;
    Ok(number)
}

/// A process that was started while the configuration was being read has not been told of it.
fn remind(keeper: &mut Keeper) -> Result<(), Trouble> {
    if keeper.reminded.get_or_insert_with(Instant::now).elapsed() >= REMIND {
        keeper.reminded = Some(Instant::now());
        pg::signal_postmaster(libc::SIGHUP)
            .map_err(|error| io_trouble("have the configuration read again", error))?;
    }
    Ok(())
}
