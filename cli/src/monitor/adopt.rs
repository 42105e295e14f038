//! Taking a node of another monitor in.
use super::Monitor;
use crate::error::Result;
use fsm::message::Report;
use fsm::rule::Rule;
use fsm::units::NodeId;

/// A node that comes from another monitor.
#[derive(Clone, Debug)]
pub struct Adoption<'a> {
    /// Its formation.
    pub formation: &'a str,
    /// Its group.
    pub group: i32,
    /// Its label.
    pub name: &'a str,
    /// Where the others reach it.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The formation's database.
    pub database: &'a str,
    /// 0 to 100.
    pub candidate_priority: i32,
    /// Commits may wait for it.
    pub replication_quorum: bool,
    /// Its cluster name.
    pub cluster: &'a str,
    /// What its keeper would report.
    pub report: &'a Report,
    /// Of a writer: the rule in force on it.
    pub rule: &'a Rule,
}

impl Monitor {
    /// Takes the node in, in the role that it has. One that is known is left as it is.
    pub fn adopt_node(&self, node: &Adoption<'_>) -> Result<()> {
        let json = |error: serde_json::Error| self.nonsense("adopt_node", &error.to_string());
        let report = serde_json::to_string(node.report).map_err(json)?;
        let rule = serde_json::to_string(node.rule).map_err(json)?;
        self.call(
            "SELECT pgautofailover.adopt_node(formation_id => $1, node_id => $2, group_id => $3, node_name => $4, \
             node_host => $5, node_port => $6, dbname => $7::text::name, sysidentifier => $8, candidate_priority => $9, \
             replication_quorum => $10, node_cluster => $11, report => $12, rule => $13)",
            &[
                &node.formation,
                &node.report.node.0,
                &node.group,
                &node.name,
                &node.host,
                &i32::from(node.port),
                &node.database,
                &node.report.system_identifier.cast_signed(),
                &node.candidate_priority,
                &node.replication_quorum,
                &node.cluster,
                &report,
                &rule,
            ],
        )
    }

    /// The database of the formation's clients.
    pub fn database(&self, formation: &str) -> Result<String> {
        self.answer("SELECT dbname::text FROM pgautofailover.formation WHERE formationid = $1", &[&formation])
    }

    /// Whether the node's keeper has a session with this monitor.
    pub fn hears_keeper_of(&self, node: NodeId) -> Result<bool> {
        self.answer(
            "SELECT coalesce((SELECT session = 'Up' FROM pgautofailover.node WHERE nodeid = $1), false)",
            &[&node.0],
        )
    }
}
