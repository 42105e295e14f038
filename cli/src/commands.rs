//! One file a command: its options and what it does.
pub mod check;
pub mod config;
pub mod create_monitor;
pub mod create_postgres;
pub mod disable_ssl;
pub mod drop_monitor;
pub mod drop_node;
pub mod enable_ssl;
pub mod failover;
pub mod force_promotion;
pub mod forget_failovers;
pub mod formation;
pub mod maintenance;
pub mod promotion;
pub mod reload;
pub mod rotate;
pub mod run;
pub mod show_events;
pub mod show_settings;
pub mod show_standby_names;
pub mod show_state;
pub mod show_timing;
pub mod show_uri;
pub mod start_without_monitor;
pub mod status;
pub mod stop;
pub mod tune;
pub mod version;
pub mod which;

use crate::args::{Command, Config, Create, Disable, Drop, Enable, Perform, Show};
use crate::context::Context;
use crate::error::Result;
use crate::view::View;
use crate::watch;

/// Does what was typed.
pub fn run(command: Command, context: &Context) -> Result<View> {
    match command {
        Command::Create(Create::Monitor(args)) => create_monitor::run(&args, context),
        Command::Create(Create::Postgres(args)) => create_postgres::run(&args, context),
        Command::Create(Create::Formation(args)) => formation::create(&args, context),
        Command::Show(Show::State(args)) => show_state::run(&args, context),
        Command::Show(Show::Events(args)) => show_events::run(&args, context),
        Command::Show(Show::Timing(args)) => show_timing::run(&args, context),
        Command::Show(Show::Uri(args)) => show_uri::run(&args, context),
        Command::Show(Show::Settings) => show_settings::run(context),
        Command::Show(Show::StandbyNames) => show_standby_names::run(context),
        Command::Config(Config::Get(args)) => config::get(&args, context),
        Command::Config(Config::Set(args)) => config::set(&args, context),
        Command::Config(Config::Check) => check::run(context),
        Command::Perform(Perform::Failover(args) | Perform::Switchover(args)) => {
            failover::run(&args, context)
        }
        Command::Perform(Perform::ForgetFailovers) => forget_failovers::run(context),
        Command::Perform(Perform::Rotation(args)) => rotate::run(&args, context),
        Command::Perform(Perform::Promotion(args)) => promotion::run(&args, context),
        Command::Perform(Perform::ForcePromotion(args)) => force_promotion::run(&args, context),
        Command::Perform(Perform::StartWithoutMonitor(args)) => start_without_monitor::run(&args, context),
        Command::Get(what) => tune::get(&what, context),
        Command::Set(what) => tune::set(&what, context),
        Command::Enable(Enable::Maintenance(args)) => maintenance::enable(&args, context),
        Command::Disable(Disable::Maintenance(args)) => maintenance::disable(&args, context),
        Command::Enable(Enable::Secondary) => formation::secondary(true, context),
        Command::Enable(Enable::Ssl(args)) => enable_ssl::run(&args, context),
        Command::Disable(Disable::Ssl) => disable_ssl::run(context),
        Command::Disable(Disable::Secondary) => formation::secondary(false, context),
        Command::Drop(Drop::Node(args)) => drop_node::run(&args, context),
        Command::Drop(Drop::Formation) => formation::drop(context),
        Command::Drop(Drop::Monitor) => drop_monitor::run(context),
        Command::Watch => watch::run(context),
        Command::Run => run::run(context),
        Command::Stop => stop::run(context),
        Command::Reload => reload::run(context),
        Command::Status => status::run(context),
        Command::Version => version::run(context),
    }
}
