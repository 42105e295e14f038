//! What replaces a primary by a time-out, and how time-outs grow in a group that fails over by them again and again.
//!
//! Each of these rules rests on something that may end in the next second. What is certain is never delayed: the other rules
//! know nothing of patience.
use super::rules::suspect;
use super::{Facts, election};
use crate::group::{Group, Node, Probe, Session};
use crate::units::{Millis, NodeId};

/// The names of the rules that rest on a time-out: the failovers which count.
pub const RULES_BY_TIME_OUT: [&str; 3] =
    ["crash recovery takes too long", "silence outlasted every lease", "the keeper has stalled"];

/// Something that convicts a primary, once it has lasted for longer than a time-out.
#[derive(Clone, Copy)]
struct Sign {
    lasted: Millis,
    time_out: Millis,
}

/// Each of them, in the order of their rules.
const SIGNS: [fn(&Facts, &Node) -> Option<Sign>; 3] = [recovers, is_silent, has_stalled];

impl Facts<'_> {
    /// How many reigns the group has lost by a time-out lately.
    pub fn lost_lately(&self) -> usize {
        self.lost().count()
    }

    /// How many of them were that node's.
    pub fn lost_lately_by(&self, node: NodeId) -> usize {
        self.lost().filter(|writer| *writer == node).count()
    }

    fn lost(&self) -> impl Iterator<Item = NodeId> {
        let lately = |moment| self.now.since(moment) < self.policy.flapping_window;
        self.group.lost_reigns.iter().filter(move |lost| lately(lost.at)).map(|lost| lost.writer)
    }

    /// The time-out as it is now: doubled for each failover beyond the allowance and the next one, and never shorter than it is set.
    pub fn patience(&self, time_out: Millis) -> Millis {
        let allowance = usize::try_from(self.policy.flapping_allowance).unwrap_or(usize::MAX);
        let doublings = (self.lost_lately() + 1).saturating_sub(allowance.max(1));
        let doubled = u32::try_from(doublings)
            .ok()
            .and_then(|doublings| 1_u64.checked_shl(doublings))
            .map_or(u64::MAX, |factor| time_out.0.saturating_mul(factor));
        time_out.max(Millis(doubled).min(self.policy.flapping_longest_wait))
    }
}

/// How long it still takes to replace a primary that would have been replaced by now, had the group not failed over so often.
pub fn held_back(facts: &Facts) -> Option<Millis> {
    let writer = suspect(facts)?;
    let rest = |sign: Sign| {
        let waits = Millis(facts.patience(sign.time_out).0.saturating_sub(sign.lasted.0));
        (sign.lasted > sign.time_out && waits > Millis(0)).then_some(waits)
    };
    SIGNS.iter().filter_map(|sign| rest(sign(facts, writer)?)).min()
}

fn convicted(facts: &Facts, sign: fn(&Facts, &Node) -> Option<Sign>) -> bool {
    let seen = suspect(facts).and_then(|writer| sign(facts, writer));
    seen.is_some_and(|sign| sign.lasted > facts.patience(sign.time_out))
}

// ---- the rules

pub(super) fn crash_recovery_takes_too_long(facts: &Facts) -> Option<Group> {
    convicted(facts, recovers).then(|| election::open(facts))
}

pub(super) fn silence_outlasted_every_lease(facts: &Facts) -> Option<Group> {
    convicted(facts, is_silent).then(|| election::open(facts))
}

pub(super) fn the_keeper_has_stalled(facts: &Facts) -> Option<Group> {
    convicted(facts, has_stalled).then(|| election::open(facts))
}

// ---- the signs

fn recovers(facts: &Facts, writer: &Node) -> Option<Sign> {
    let recovers = writer.probe == Probe::Starting && !facts.in_contact(writer);
    let sign =
        Sign { lasted: facts.now.since(writer.probe_since), time_out: facts.policy.crash_recovery_grace };
    (recovers && facts.members_lost_the_writer()).then_some(sign)
}

fn is_silent(facts: &Facts, writer: &Node) -> Option<Sign> {
    // One that answers that it is starting up says what it does: see the rule above.
    let says_nothing = facts.is_silent(writer) && writer.probe != Probe::Starting;
    let silent = says_nothing && facts.now > facts.group.granted_until;
    let sign = Sign { lasted: facts.silent_for(writer), time_out: facts.policy.unhealthy };
    (silent && facts.members_lost_the_writer()).then_some(sign)
}

fn has_stalled(facts: &Facts, writer: &Node) -> Option<Sign> {
    // A link that went silent is a monitor cut off from its primary: no reason to act. So the server must answer.
    // And for as long: one that answers since a moment ago was cut off, and its keeper is only about to come back.
    let stands = writer.session == Session::Up && writer.probe == Probe::Answers;
    let lasted = facts.silent_for(writer).min(facts.now.since(writer.probe_since));
    let over = facts.now > facts.group.granted_until;
    (stands && over).then_some(Sign { lasted, time_out: facts.policy.stall })
}
