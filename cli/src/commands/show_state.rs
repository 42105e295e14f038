//! `show state`
use crate::context::Context;
use crate::error::Result;
use crate::view::View;

/// On a monitor every node, on a node its own group.
pub fn run(context: &Context) -> Result<View> {
    let (monitor, scope) = context.open_monitor()?;
    let mut nodes = Vec::new();
    for formation in scope.formations(&monitor)? {
        nodes.extend(monitor.states(&formation, scope.group)?);
    }
    Ok(View::States(nodes))
}
