//! `show events`
use crate::context::Context;
use crate::error::Result;
use crate::view::View;

/// Options of `show events`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many
    #[arg(long, default_value_t = 10, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    count: i32,
}

/// On a monitor of every group, on a node of its own.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let (monitor, scope) = context.open_monitor()?;
    let mut events = Vec::new();
    for formation in scope.formations(&monitor)? {
        events.extend(monitor.events(&formation, scope.group, args.count)?);
    }
    events.sort_by_key(|event| event.eventid);
    let surplus = events.len().saturating_sub(args.count.unsigned_abs() as usize);
    Ok(View::Events(events.split_off(surplus)))
}
