//! `create formation`, `drop formation`, `enable secondary`, `disable secondary`.
use crate::context::Context;
use crate::error::{Error, Result};
use crate::monitor::Formation;
use crate::view::View;
use serde_json::json;

/// Options of `create formation`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Kind of the formation
    #[arg(long, default_value = "pgsql")]
    kind: String,
    /// Database of its clients
    #[arg(long, default_value = "postgres", value_name = "NAME")]
    dbname: String,
    /// Groups may have standbys (that is the default)
    #[arg(long, conflicts_with = "disable_secondary")]
    enable_secondary: bool,
    /// Every group has one node only
    #[arg(long)]
    disable_secondary: bool,
    /// How many standbys a commit waits for, at the least
    #[arg(long, default_value_t = 0, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    number_sync_standbys: i32,
}

/// Makes it. One that is there with the same settings stays as it is.
pub fn create(args: &CreateArgs, context: &Context) -> Result<View> {
    let name = named(context)?;
    let (monitor, _) = context.open_monitor()?;
    let existed = monitor.formations()?.iter().any(|known| known == name);
    monitor.create_formation(&Formation {
        name,
        kind: &args.kind,
        database: &args.dbname,
        secondaries: !args.disable_secondary,
        number_sync_standbys: args.number_sync_standbys,
    })?;
    let line = if existed { "is there already" } else { "is made" };
    Ok(outcome(name, line, existed))
}

/// Drops it. It has no nodes any more.
pub fn drop(context: &Context) -> Result<View> {
    let name = named(context)?;
    let (monitor, _) = context.open_monitor()?;
    if !monitor.formations()?.iter().any(|known| known == name) {
        return Ok(outcome(name, "does not exist any more", false));
    }
    monitor.drop_formation(name)?;
    Ok(outcome(name, "is dropped", true))
}

/// Lets its groups have standbys, or not.
pub fn secondary(wanted: bool, context: &Context) -> Result<View> {
    let (monitor, scope) = context.open_monitor()?;
    let name = scope.formation.unwrap_or_else(|| "default".to_owned());
    monitor.set_secondaries(&name, wanted)?;
    let line = if wanted { "may have standbys" } else { "has groups of one node only" };
    Ok(View::outcome(
        format!("formation {name} {line}"),
        [("formation", json!(name)), ("opt_secondary", json!(wanted))],
    ))
}

/// Making and dropping are asked for by name: nobody drops the default by leaving a word out.
fn named(context: &Context) -> Result<&str> {
    context
        .named_formation()
        .ok_or_else(|| Error::arguments("no formation is named").hint("say --formation NAME"))
}

fn outcome(name: &str, what: &str, existed: bool) -> View {
    View::outcome(
        format!("formation {name} {what}"),
        [("formation", json!(name)), ("existed", json!(existed))],
    )
}
