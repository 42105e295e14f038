//! The passwords that a monitor makes for its nodes.
use super::Monitor;
use crate::error::Result;
use serde::Deserialize;

/// One row of `pgautofailover.password_holders()`.
#[derive(Clone, Debug, Deserialize)]
pub struct Holder {
    /// The node's formation.
    pub formation_id: String,
    /// Its group.
    pub group_id: i32,
    /// Its label.
    pub node_name: String,
    /// It can be told now.
    pub in_contact: bool,
    /// It holds its group's newest.
    pub holds_replication_password: bool,
    /// It holds the newest of its own role on the monitor.
    pub holds_node_password: bool,
}

impl Monitor {
    /// Asks for a new password of a group. Returns at once.
    pub fn rotate_replication_password(&self, formation: &str, group: i32) -> Result<i64> {
        self.answer("SELECT pgautofailover.rotate_replication_password($1, $2)", &[&formation, &group])
    }

    /// Asks for a new password of the nodes' own role. Returns its number, at once.
    pub fn rotate_node_password(&self) -> Result<i64> {
        self.answer("SELECT pgautofailover.rotate_node_password()", &[])
    }

    /// Puts it in force. Whether there was one to put in force.
    pub fn finish_node_password_rotation(&self, force: bool) -> Result<bool> {
        self.answer("SELECT pgautofailover.finish_node_password_rotation($1)", &[&force])
    }

    /// The password in force, when it is one that the monitor made. For its own superuser only.
    pub fn node_password(&self) -> Result<Option<String>> {
        self.answer("SELECT pgautofailover.node_password()", &[])
    }

    /// Which nodes hold the newest passwords.
    pub fn password_holders(&self) -> Result<Vec<Holder>> {
        self.json("SELECT coalesce(json_agg(h), '[]')::text FROM pgautofailover.password_holders() h", &[])
    }
}
