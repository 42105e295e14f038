//! `version`
use crate::context::Context;
use crate::error::Result;
use crate::view::View;
use serde_json::json;

/// Ours, and that of the PostgreSQL that would be used.
pub fn run(context: &Context) -> Result<View> {
    let ours = env!("CARGO_PKG_VERSION");
    let postgres = context.postgres().ok();
    let (major, bindir) =
        (postgres.as_ref().map(|found| found.major()), postgres.as_ref().map(|found| found.bindir()));
    let theirs = match (major, bindir) {
        (Some(major), Some(bindir)) => format!("PostgreSQL {major} in \"{}\"", bindir.display()),
        (None, _) | (_, None) => "no PostgreSQL server found".to_owned(),
    };
    let values = [("pg_autoctl", json!(ours)), ("postgres", json!(major)), ("bindir", json!(bindir))];
    Ok(View::outcome(format!("pg_autoctl {ours}\n{theirs}"), values))
}
