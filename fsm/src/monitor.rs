//! What the monitor assigns, given all it knows of one group.
pub mod assignment;
pub mod election;
pub mod explain;
pub mod facts;
pub mod force;
pub mod images;
pub mod operate;
pub mod resume;
pub mod rules;
pub mod time_outs;
pub mod timing;
mod unconfirmed;
mod wishes;

use crate::group::Group;
use crate::policy::Policy;
use crate::units::Moment;

pub use assignment::assignment;
pub use facts::Facts;
pub use rules::{RULES, Rule};

/// What one look at a group came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The name of the rule that fired.
    pub rule: &'static str,
    /// The group after it.
    pub group: Group,
}

/// The first rule that has something to change. Call it again with the new group until there is none.
pub fn decide(group: &Group, policy: &Policy, now: Moment) -> Option<Decision> {
    decide_by(RULES, group, policy, now)
}

/// The same by other rules, so that a test can see a wrong rule found out.
pub fn decide_by(rules: &[Rule], group: &Group, policy: &Policy, now: Moment) -> Option<Decision> {
    // What a monitor does not know of yet, it cannot decide about (law 6).
    if group.is_incomplete() && !resume::is_possible(group) {
        return None;
    }
    let facts = Facts::new(group, policy, now);
    rules.iter().find_map(|rule| {
        let mut after = (rule.apply)(&facts)?;
        if after == *group {
            return None;
        }
        for node in &mut after.nodes {
            if group.node(node.id).is_some_and(|before| before.goal != node.goal) {
                node.goal_since = now;
            }
        }
        Some(Decision { rule: rule.name, group: after })
    })
}
