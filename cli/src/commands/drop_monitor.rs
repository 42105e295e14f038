//! `drop monitor`
use crate::context::{Context, Part};
use crate::datadir;
use crate::error::{Error, Result};
use crate::view::View;
use serde_json::json;
use tracing::info;

/// Stops the monitor. Its data stays, and its nodes go on without one until they have another.
pub fn run(context: &Context) -> Result<View> {
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    if context.part(&postgres)? != Part::Monitor {
        return Err(Error::state(format!("\"{}\" is no monitor", pgdata.display()))
            .hint("a node is dropped by pg_autoctl drop node"));
    }
    let was_running = datadir::running(pgdata).is_some();
    if was_running {
        postgres.stop(pgdata)?;
    }
    info!(
        "without a monitor nothing fails over, and a primary with synchronous standbys writes only while they are with it; \
         nodes get another one by pg_autoctl config set pg_autoctl.monitor"
    );
    let line = format!("the monitor is stopped, and its data is still in \"{}\"", pgdata.display());
    Ok(View::outcome(line, [("pgdata", json!(pgdata)), ("was_running", json!(was_running))]))
}
