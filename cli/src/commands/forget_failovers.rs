//! `perform forget-failovers`: a group that was patient after many failovers is so no longer.
use crate::context::Context;
use crate::error::Result;
use crate::view::View;
use serde_json::json;

/// Asks for it. What happened stays in the monitor's history.
pub fn run(context: &Context) -> Result<View> {
    let (monitor, scope) = context.open_monitor()?;
    let formation = scope.formation.unwrap_or_else(|| "default".to_owned());
    let group = scope.group.unwrap_or(0);
    monitor.forget_failovers(&formation, group)?;
    let values = [("formation", json!(formation)), ("group", json!(group))];
    Ok(View::outcome("the next failover is as fast as if there had been none before", values))
}
