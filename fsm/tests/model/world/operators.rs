//! What operators ask of the monitor, which may refuse.
use super::{NOW, World, id};
use crate::setup::Setup;
use fsm::monitor::operate;

impl World {
    pub(super) fn switch_over(&mut self, setup: &Setup) {
        let mut group = self.group.clone();
        if operate::perform_failover(&mut group, &setup.policy, NOW).is_ok() {
            self.group = group;
            self.decide(setup);
        }
    }

    pub(super) fn start_maintenance(&mut self, n: usize, setup: &Setup) {
        let mut group = self.group.clone();
        if operate::start_maintenance(&mut group, id(n), &setup.policy, NOW).is_ok() {
            self.group = group;
            self.wishes -= 1;
            self.decide(setup);
        }
    }

    pub(super) fn stop_maintenance(&mut self, n: usize, setup: &Setup) {
        operate::stop_maintenance(&mut self.group, id(n), NOW).expect("a node of the group");
        self.decide(setup);
    }

    pub(super) fn wait_for(&mut self, number: u32, setup: &Setup) {
        if self.group.number_sync_standbys != number && operate::can_wait_for(&self.group, number) {
            self.group.number_sync_standbys = number;
            self.wishes -= 1;
            self.decide(setup);
        }
    }
}
