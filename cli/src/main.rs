//! `pg_autoctl`: the command line of the pair, and the helper that the keeper's library calls between two lives of a server.
mod adopt;
mod adoption;
mod args;
mod birth;
mod certificate;
mod commands;
mod conf;
mod context;
mod datadir;
mod enrol;
mod error;
mod found;
mod hba;
mod in_place;
mod install;
mod join;
mod last_start;
mod live;
mod local_view;
mod log;
mod monitor;
mod next_life;
mod ordinary;
mod postgres;
mod printer;
mod render;
mod server_tls;
mod settling;
mod sql;
mod ssl_options;
mod standby;
mod view;
mod watch;

use args::{Cli, Command};
use clap::Parser;
use clap::error::ErrorKind;
use context::Context;
use error::{Error, Kind, Result};
use std::process::ExitCode;

fn main() -> ExitCode {
    // The helper first, and by hand: the server is down while it runs.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "internal") {
        return match arguments.next().as_ref().and_then(|second| second.to_str()) {
            Some("in-place") => in_place::main(arguments),
            Some("room") => in_place::room::main(arguments),
            Some("child") => in_place::child::main(arguments),
            _ => ExitCode::from(1),
        };
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Writes help to stdout and complaints to stderr; nothing can be done when that fails.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { 0 } else { Kind::Arguments.code() });
        }
    };
    match run(cli) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(kind)) => ExitCode::from(kind.code()),
        Err(error) => {
            printer::error(&error);
            ExitCode::from(error.kind.code())
        }
    }
}

/// What scripts are to know beside what was printed.
fn run(cli: Cli) -> Result<Option<Kind>> {
    log::for_people();
    let context = Context::new(cli.common)?;
    if !matches!(cli.command, Command::Version) {
        refuse_root(&context)?;
    }
    let view = commands::run(cli.command, &context)?;
    printer::data(&render::render(&view, context.format));
    Ok(view.means())
}

/// PostgreSQL refuses root, and files that root made would be in its way.
fn refuse_root(context: &Context) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let owner =
        context.named_pgdata().and_then(|pgdata| std::fs::metadata(pgdata).ok()).map(|about| about.uid());
    let user = match owner {
        Some(uid) if uid != 0 => datadir::user_name(uid.into()),
        Some(_) | None => "postgres".to_owned(),
    };
    let words: Vec<String> = std::env::args().skip(1).take_while(|word| !word.starts_with('-')).collect();
    let command = [&["pg_autoctl".to_owned()], &words[..]].concat().join(" ");
    Err(Error::arguments("PostgreSQL does not run as root, and neither does what manages it").hint(format!(
        "run it as the user of the server: runuser -u {user} -- {command} … (or sudo -u {user} …)"
    )))
}
