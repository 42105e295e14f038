//! `status`
use crate::context::{Context, Part};
use crate::datadir;
use crate::error::{Kind, Result};
use crate::local_view;
use crate::view::View;
use serde_json::json;

/// Whether the server runs, and in which role. Exit status 3 when it does not run.
pub fn run(context: &Context) -> Result<View> {
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    let part = context.part(&postgres)?;
    let running = datadir::running(pgdata);
    let node = if part == Part::Node { Some(local_view::of(context, &postgres)?) } else { None };
    let what = match &node {
        Some(node) => format!("node {} ({})", node.node_id, node.current_group_state),
        None => "the monitor".to_owned(),
    };
    let line = match &running {
        Some(running) => {
            format!(
                "{what} runs in \"{}\" as process {} on port {}",
                pgdata.display(),
                running.pid,
                running.port
            )
        }
        None => format!("{what} does not run; start it: pg_ctl start -D {}", pgdata.display()),
    };
    let values = [
        ("pgdata", json!(pgdata)),
        ("part", json!(if part == Part::Monitor { "monitor" } else { "node" })),
        ("running", json!(running.is_some())),
        ("pid", json!(running.as_ref().map(|running| running.pid))),
        ("port", json!(running.as_ref().map(|running| running.port))),
        ("node_id", json!(node.as_ref().map(|node| node.node_id))),
        ("state", json!(node.as_ref().map(|node| &node.current_group_state))),
        ("assigned", json!(node.as_ref().map(|node| &node.assigned_group_state))),
        ("note", json!(node.as_ref().and_then(|node| node.note.as_ref()))),
    ];
    Ok(View::outcome(line, values).that_means(if running.is_none() { Some(Kind::State) } else { None }))
}
