//! What the monitor decides, each decision once: most situations differ only in what the monitor does not see.
use crate::shared::{HASHER, Shared};
use crate::world::{NOW, forget_what_no_rule_reads};
use ahash::RandomState;
use fsm::group::Group;
use fsm::monitor::{Rule, decide_by};
use fsm::policy::Policy;
use std::collections::HashMap;
use std::sync::Mutex;

/// Rules, and what they come to.
pub struct Decisions {
    rules: Vec<Rule>,
    policy: Policy,
    made: Mutex<HashMap<Shared<Group>, Shared<Group>, RandomState>>,
}

impl Decisions {
    pub fn by(rules: Vec<Rule>, policy: Policy) -> Decisions {
        Decisions { rules, policy, made: Mutex::new(HashMap::with_hasher(HASHER)) }
    }

    /// The group once no rule has anything to change any more.
    pub fn on(&self, group: &Shared<Group>) -> Shared<Group> {
        let mut made = self.made.lock().expect("nobody panics with it");
        made.entry(group.clone()).or_insert_with(|| self.decide(group.clone())).clone()
    }

    fn decide(&self, mut group: Shared<Group>) -> Shared<Group> {
        for _ in 0..20 {
            match decide_by(&self.rules, &group, &self.policy, NOW) {
                Some(decision) => group = Shared::new(decision.group),
                None => {
                    forget_what_no_rule_reads(&mut group);
                    return group;
                }
            }
        }
        panic!("the rules do not come to rest: {group:#?}");
    }
}
