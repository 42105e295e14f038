//! `show timing`
use crate::context::Context;
use crate::error::Result;
use crate::view::View;

/// Options of `show timing`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many
    #[arg(long, default_value_t = 10, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    count: i32,
}

/// On a monitor of every group, on a node of its own.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let (monitor, scope) = context.open_monitor()?;
    Ok(View::Failovers(monitor.failovers(scope.formation.as_deref(), scope.group, args.count)?))
}
