//! `show settings`, which is `get formation settings` too.
use crate::context::Context;
use crate::error::Result;
use crate::view::{Rows, View};
use serde_json::json;

/// What the monitor keeps about formations, their groups and their nodes.
pub fn run(context: &Context) -> Result<View> {
    let (monitor, scope) = context.open_monitor()?;
    let mut settings = Vec::new();
    for formation in scope.formations(&monitor)? {
        settings.extend(monitor.formation_settings(&formation)?);
    }
    let several = settings.iter().any(|setting| setting.formation != settings[0].formation);
    let mut rows = Rows::new(["Context", "Group", "Node", "Name", "Setting", "Value"]);
    for setting in &settings {
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let context = if several {
            format!("{}: {}", setting.formation, setting.context)
        } else {
            setting.context.clone()
        };
        rows.push([
            context,
            number(setting.group_id.map(i64::from)),
            number(setting.node_id),
            setting.nodename.clone().unwrap_or_default(),
            setting.setting.clone(),
            setting.value.clone().unwrap_or_default(),
        ]);
    }
    Ok(View::Rows(rows.with_json(json!(settings))))
}
