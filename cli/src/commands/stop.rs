//! `stop`
use crate::context::Context;
use crate::datadir;
use crate::error::Result;
use crate::view::View;
use serde_json::json;

/// Stops the server. One that does not run is stopped already.
pub fn run(context: &Context) -> Result<View> {
    let pgdata = context.cluster()?;
    let was_running = datadir::running(pgdata).is_some();
    if was_running {
        context.postgres()?.stop(pgdata)?;
    }
    let line = format!(
        "the server in \"{}\" is {}",
        pgdata.display(),
        if was_running { "stopped" } else { "not running" }
    );
    Ok(View::outcome(line, [("pgdata", json!(pgdata)), ("was_running", json!(was_running))]))
}
