//! `reload`
use crate::context::Context;
use crate::datadir;
use crate::error::Result;
use crate::view::View;
use serde_json::json;

/// Has the server read its configuration files again.
pub fn run(context: &Context) -> Result<View> {
    let pgdata = context.cluster()?;
    datadir::require_running(pgdata)?;
    context.postgres()?.reload(pgdata)?;
    let line = format!("the server in \"{}\" reads its configuration again", pgdata.display());
    Ok(View::outcome(line, [("pgdata", json!(pgdata))]))
}
