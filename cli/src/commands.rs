//! One file a command: its options and what it does.
pub mod config;
pub mod create_monitor;
pub mod create_postgres;
pub mod drop_node;
pub mod failover;
pub mod rotate;
pub mod run;
pub mod show_events;
pub mod show_state;
pub mod show_uri;
pub mod stop;
pub mod version;

use crate::args::{Command, Config, Create, Drop, Perform, Show};
use crate::context::Context;
use crate::error::Result;
use crate::view::View;

/// Does what was typed.
pub fn run(command: Command, context: &Context) -> Result<View> {
    match command {
        Command::Create(Create::Monitor(args)) => create_monitor::run(&args, context),
        Command::Create(Create::Postgres(args)) => create_postgres::run(&args, context),
        Command::Show(Show::State) => show_state::run(context),
        Command::Show(Show::Events(args)) => show_events::run(&args, context),
        Command::Show(Show::Uri(args)) => show_uri::run(&args, context),
        Command::Config(Config::Get(args)) => config::get(&args, context),
        Command::Config(Config::Set(args)) => config::set(&args, context),
        Command::Perform(Perform::Failover(args) | Perform::Switchover(args)) => {
            failover::run(&args, context)
        }
        Command::Perform(Perform::Rotation(args)) => rotate::run(&args, context),
        Command::Drop(Drop::Node(args)) => drop_node::run(&args, context),
        Command::Run => run::run(context),
        Command::Stop => stop::run(context),
        Command::Version => version::run(context),
    }
}
