//! `show standby-names`
use crate::context::Context;
use crate::error::Result;
use crate::view::{Rows, View};
use serde_json::json;
use std::collections::BTreeSet;

/// What `synchronous_standby_names` is on the primary: of one group the value alone, of several a table.
pub fn run(context: &Context) -> Result<View> {
    let (monitor, scope) = context.open_monitor()?;
    if let Some(group) = scope.group {
        let formation = scope.formation.unwrap_or_else(|| "default".to_owned());
        let names = monitor.standby_names(&formation, group)?;
        let values = [
            ("formation", json!(formation)),
            ("group_id", json!(group)),
            ("synchronous_standby_names", json!(names)),
        ];
        return Ok(View::outcome(names, values));
    }
    let mut rows = Rows::new(["Formation", "Group", "Standby Names"]);
    let mut values = Vec::new();
    for formation in scope.formations(&monitor)? {
        let nodes = monitor.states(&formation, None)?;
        for group in nodes.iter().map(|node| node.group_id).collect::<BTreeSet<_>>() {
            let names = monitor.standby_names(&formation, group)?;
            values
                .push(json!({"formation": formation, "group_id": group, "synchronous_standby_names": names}));
            rows.push([formation.clone(), group.to_string(), names]);
        }
    }
    Ok(View::Rows(rows.with_json(json!(values))))
}
