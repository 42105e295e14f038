//! Which standbys a commit waits for, and whose pledges make sure that none of those commits is lost.
//!
//! The arithmetic is that of read and write quorums: a commit waits for any k of the S members, so any
//! S-k+1 of them contain at least one that has it (Gifford, "Weighted voting for replicated data", 1979).
use crate::units::{NodeId, RuleNumber};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One rule of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Tells this rule from those before and after it.
    pub number: RuleNumber,
    /// How many members a commit waits for (k). 0: commits wait for nobody.
    pub wait_for: u32,
    /// The quorum members (S of them), empty when `wait_for` is 0.
    pub members: BTreeSet<NodeId>,
}

impl Rule {
    /// A rule over `members` that waits for `number_sync_standbys` of them, for at least one, and for nobody when there are no members.
    pub fn over(number: RuleNumber, members: BTreeSet<NodeId>, number_sync_standbys: u32) -> Rule {
        let wait_for = if members.is_empty() { 0 } else { number_sync_standbys.max(1) };
        Rule { number, wait_for, members }
    }

    /// Whether commits wait for nobody.
    pub const fn is_empty(&self) -> bool {
        self.wait_for == 0
    }

    /// Whether every commit acknowledged under this rule is on at least one node of `pledged`, and none can be acknowledged any more without them.
    pub fn is_held_by(&self, pledged: &BTreeSet<NodeId>) -> bool {
        if self.is_empty() {
            return true;
        }
        let pledges = self.members.intersection(pledged).count();
        pledges + self.wait_for as usize > self.members.len()
    }

    /// Whether whoever holds this rule holds the other as well, so that it may take the other's place before that was in force:
    /// no more pledges can be missing from fewer members.
    pub fn holds_as_well(&self, other: &Rule) -> bool {
        other.is_empty()
            || (!self.is_empty()
                && self.wait_for <= other.wait_for
                && self.members.is_superset(&other.members))
    }

    /// Whether `followers` are enough to acknowledge a commit.
    pub fn is_met_by(&self, followers: &BTreeSet<NodeId>) -> bool {
        self.members.intersection(followers).count() >= self.wait_for as usize
    }

    /// The value of PostgreSQL's `synchronous_standby_names` for this rule.
    pub fn synchronous_standby_names(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let names: Vec<String> = self.members.iter().map(|node| standby_name(*node)).collect();
        format!("ANY {} ({})", self.wait_for, names.join(", "))
    }
}

/// The application_name of a standby and the name of its replication slot.
pub fn standby_name(node: NodeId) -> String {
    format!("pgautofailover_standby_{node}")
}

/// The node that a slot or application_name of ours belongs to.
pub fn standby_of(name: &str) -> Option<NodeId> {
    name.strip_prefix("pgautofailover_standby_")?.parse().ok().map(NodeId)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(bits: u32) -> BTreeSet<NodeId> {
        (0..6).filter(|n| bits & (1 << n) != 0).map(NodeId).collect()
    }

    /// For every S up to 6, every k and every pair of sets: a set that holds a rule meets every set that can acknowledge a commit.
    #[test]
    fn whoever_holds_a_rule_has_met_every_commit() {
        for s in 1..=6_u32 {
            for k in 1..=s {
                let rule = Rule::over(RuleNumber(1), set((1 << s) - 1), k);
                for pledged in 0..1_u32 << s {
                    let always_meets = (0..1_u32 << s)
                        .filter(|acked| acked.count_ones() >= k)
                        .all(|acked| acked & pledged != 0);
                    assert_eq!(rule.is_held_by(&set(pledged)), always_meets, "S={s} k={k} {pledged:b}");
                }
            }
        }
    }

    #[test]
    fn whoever_holds_a_wider_rule_holds_the_narrower() {
        let rules =
            || (1..16).flat_map(|members| (1..=4).map(move |k| Rule::over(RuleNumber(1), set(members), k)));
        for (wide, narrow) in rules().flat_map(|wide| rules().map(move |narrow| (wide.clone(), narrow))) {
            if wide.holds_as_well(&narrow) {
                let holds = |pledged| !wide.is_held_by(&set(pledged)) || narrow.is_held_by(&set(pledged));
                assert!((0..16).all(holds), "{wide:?} {narrow:?}");
            }
        }
    }

    #[test]
    fn names_are_those_of_pg_auto_failover() {
        let rule = Rule::over(RuleNumber(1), BTreeSet::from([NodeId(3), NodeId(2)]), 0);
        assert_eq!(
            rule.synchronous_standby_names(),
            "ANY 1 (pgautofailover_standby_2, pgautofailover_standby_3)"
        );
        assert_eq!(standby_of("pgautofailover_standby_12"), Some(NodeId(12)));
        assert_eq!(standby_of("walreceiver"), None);
    }
}
