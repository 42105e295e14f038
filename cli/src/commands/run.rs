//! `run`
use crate::context::Context;
use crate::datadir;
use crate::error::{Error, Kind, Result};
use crate::last_start;
use crate::view::View;
use std::os::unix::process::CommandExt;

/// Becomes the server, in the foreground: for containers and service managers.
pub fn run(context: &Context) -> Result<View> {
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    postgres.check_version(pgdata)?;
    if let Some(running) = datadir::running(pgdata) {
        return Err(Error::state(format!(
            "the server in \"{}\" runs already, as process {}",
            pgdata.display(),
            running.pid
        ))
        .hint("stop it first: pg_autoctl stop"));
    }
    let mut command = postgres.command("postgres");
    command.arg("-D").arg(pgdata);
    if let Some(way) = last_start::way_to_configuration(pgdata) {
        command.arg("-c").arg(way);
    }
    let cause = command.exec();
    Err(Error::new(Kind::PgCtl, format!("could not start the server: {cause}")))
}
