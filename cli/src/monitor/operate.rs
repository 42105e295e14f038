//! What operators ask of a monitor.
use super::Monitor;
use crate::error::Result;
use fsm::units::NodeId;

/// A formation to make.
#[derive(Clone, Debug)]
pub struct Formation<'a> {
    /// Its name.
    pub name: &'a str,
    /// `pgsql`.
    pub kind: &'a str,
    /// The database of its clients.
    pub database: &'a str,
    /// Its groups may have standbys.
    pub secondaries: bool,
    /// How many standbys a commit waits for, at the least.
    pub number_sync_standbys: i32,
}

impl Monitor {
    /// Asks for a failover.
    pub fn perform_failover(&self, formation: &str, group: i32) -> Result<()> {
        self.call("SELECT pgautofailover.perform_failover($1, $2)", &[&formation, &group])
    }

    /// Has the failovers that were lengthen no time-out any more.
    pub fn forget_failovers(&self, formation: &str, group: i32) -> Result<()> {
        self.call("SELECT pgautofailover.forget_failovers($1, $2)", &[&formation, &group])
    }

    /// Asks for a failover to this node.
    pub fn perform_promotion(&self, formation: &str, node: &str) -> Result<bool> {
        self.answer("SELECT pgautofailover.perform_promotion($1, $2)", &[&formation, &node])
    }

    /// Asks for the promotion of this node whatever others have. What may be lost.
    pub fn force_promotion(&self, formation: &str, node: &str, accept_data_loss: bool) -> Result<String> {
        let statement = "SELECT pgautofailover.force_promotion($1, $2, $3)";
        self.answer(statement, &[&formation, &node, &accept_data_loss])
    }

    /// Takes a standby out of its group's work. False: the monitor has no such node.
    pub fn start_maintenance(&self, node: NodeId) -> Result<bool> {
        self.answer("SELECT pgautofailover.start_maintenance($1::bigint)", &[&node.0])
    }

    /// Puts it to work again. False: the monitor has no such node.
    pub fn stop_maintenance(&self, node: NodeId) -> Result<bool> {
        self.answer("SELECT pgautofailover.stop_maintenance($1::bigint)", &[&node.0])
    }

    /// Removes a node. Whether it was there.
    pub fn remove_node(&self, node: NodeId, force: bool) -> Result<bool> {
        self.answer("SELECT pgautofailover.remove_node($1::bigint, $2)", &[&node.0, &force])
    }

    /// Makes a formation; one that is there with the same settings stays as it is.
    pub fn create_formation(&self, made: &Formation<'_>) -> Result<()> {
        self.call(
            "SELECT pgautofailover.create_formation(formation_id => $1, kind => $2, dbname => $3::text::name, \
             opt_secondary => $4, number_sync_standbys => $5)",
            &[&made.name, &made.kind, &made.database, &made.secondaries, &made.number_sync_standbys],
        )
    }

    /// Drops a formation that has no nodes.
    pub fn drop_formation(&self, formation: &str) -> Result<()> {
        self.call("SELECT pgautofailover.drop_formation($1)", &[&formation])
    }

    /// Lets the formation's groups have standbys, or not.
    pub fn set_secondaries(&self, formation: &str, wanted: bool) -> Result<()> {
        let statement = if wanted {
            "SELECT pgautofailover.enable_secondary($1)"
        } else {
            "SELECT pgautofailover.disable_secondary($1)"
        };
        self.call(statement, &[&formation])
    }

    /// How much a node is wished as primary.
    pub fn set_candidate_priority(&self, formation: &str, node: &str, priority: i32) -> Result<bool> {
        let statement = "SELECT pgautofailover.set_node_candidate_priority($1, $2, $3)";
        self.answer(statement, &[&formation, &node, &priority])
    }

    /// Whether commits may wait for a node.
    pub fn set_replication_quorum(&self, formation: &str, node: &str, quorum: bool) -> Result<bool> {
        let statement = "SELECT pgautofailover.set_node_replication_quorum($1, $2, $3)";
        self.answer(statement, &[&formation, &node, &quorum])
    }

    /// How many standbys a commit waits for, at the least.
    pub fn set_number_sync_standbys(&self, formation: &str, number: i32) -> Result<bool> {
        let statement = "SELECT pgautofailover.set_formation_number_sync_standbys($1, $2)";
        self.answer(statement, &[&formation, &number])
    }
}
