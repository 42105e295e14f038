//! What a monitor knows about formations and nodes beside their states.
use super::Monitor;
use crate::error::{Error, Result};
use fsm::policy::Policy;
use fsm::units::{Bytes, Millis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One row of `pgautofailover.formation_settings()`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormationSetting {
    /// Its formation. Not in the function's row: the question named it.
    #[serde(default)]
    pub formation: String,
    /// `formation`, `primary`, `node`.
    pub context: String,
    /// The group, when it is about one.
    pub group_id: Option<i32>,
    /// The node, when it is about one.
    pub node_id: Option<i64>,
    /// That node's label.
    pub nodename: Option<String>,
    /// The setting's name.
    pub setting: String,
    /// Its value.
    pub value: Option<String>,
}

/// One row of `pgautofailover.explain()`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Explained {
    /// What the group waits for. Nothing when it is settled.
    pub waits_for: Option<String>,
    /// The event or the command that ends this wait.
    pub ends_by: Option<String>,
    /// How much longer than usual a time-out is.
    pub patience: Option<String>,
}

impl Monitor {
    /// The settings of a formation and of its nodes.
    pub fn formation_settings(&self, formation: &str) -> Result<Vec<FormationSetting>> {
        let mut settings: Vec<FormationSetting> = self.json(
            "SELECT coalesce(json_agg(s), '[]')::text FROM pgautofailover.formation_settings($1) s",
            &[&formation],
        )?;
        for setting in &mut settings {
            formation.clone_into(&mut setting.formation);
        }
        Ok(settings)
    }

    /// How many standbys a commit in this formation waits for, at the least.
    pub fn number_sync_standbys(&self, formation: &str) -> Result<i32> {
        self.answer(
            "SELECT number_sync_standbys FROM pgautofailover.formation WHERE formationid = $1",
            &[&formation],
        )
    }

    /// `synchronous_standby_names` as the group's primary has it, or is to have it.
    pub fn standby_names(&self, formation: &str, group: i32) -> Result<String> {
        self.answer("SELECT pgautofailover.synchronous_standby_names($1, $2)", &[&formation, &group])
    }

    /// What nodes of the formation wait for, or what went wrong on them last, by node id.
    pub fn notes(&self, formation: &str) -> Result<BTreeMap<i64, String>> {
        self.json(
            "SELECT coalesce(json_object_agg(nodeid, note), '{}')::text FROM pgautofailover.node \
             WHERE formationid = $1 AND note IS NOT NULL",
            &[&formation],
        )
    }

    /// What there is to say of the formation's groups, by the number of the group. Those of which nothing is to be said are left out.
    pub fn explained(&self, formation: &str) -> Result<BTreeMap<i32, Explained>> {
        self.json(
            "SELECT coalesce(json_object_agg(g.groupid, e), '{}')::text \
             FROM (SELECT DISTINCT groupid FROM pgautofailover.node_state WHERE formationid = $1) g, \
             LATERAL pgautofailover.explain($1, g.groupid) e WHERE NOT e.settled OR e.patience IS NOT NULL",
            &[&formation],
        )
    }

    /// The thresholds that it decides by, as its configuration has them.
    pub fn policy(&self) -> Result<Policy> {
        let set: BTreeMap<String, u64> = self.json(
            "SELECT coalesce(json_object_agg(substr(name, 16), setting::bigint), '{}')::text FROM pg_catalog.pg_settings \
             WHERE starts_with(name, 'pgautofailover.') AND vartype = 'integer'",
            &[],
        )?;
        let get = |name: &str| {
            let missing = || {
                Error::monitor(format!("the monitor has no setting pgautofailover.{name}"))
                    .hint("install the same version on both: pg_autoctl version")
            };
            set.get(name).copied().ok_or_else(missing)
        };
        Ok(Policy {
            lease: Millis(get("lease")?),
            unhealthy: Millis(get("node_considered_unhealthy_timeout")?),
            crash_recovery_grace: Millis(get("crash_recovery_grace")?),
            stall: Millis(get("stall_timeout")?),
            drain: Millis(get("drain_timeout")?),
            startup_grace: Millis(get("startup_grace_period")?),
            member_timeout: Millis(get("member_timeout")?),
            margin: Millis(get("lease_margin")?),
            catchup_lag: Bytes::mib(get("enable_sync_wal_log_threshold")?),
            flapping_window: Millis(get("flapping_window")?),
            flapping_allowance: u32::try_from(get("flapping_allowance")?).unwrap_or(u32::MAX),
            flapping_longest_wait: Millis(get("flapping_longest_wait")?),
        })
    }
}
