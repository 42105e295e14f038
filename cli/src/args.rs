//! The command line: what may be typed. Each command's own options stand in its file.
use crate::commands::{
    config, create_monitor, create_postgres, drop_node, failover, rotate, show_events, show_uri,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// PostgreSQL that fails over by itself.
#[derive(Debug, Parser)]
#[command(name = "pg_autoctl", version, disable_help_subcommand = false, arg_required_else_help = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Data directory of the server
    #[arg(long, short = 'D', global = true, env = "PGDATA", value_name = "DIRECTORY")]
    pub pgdata: Option<PathBuf>,
    /// Connection string of the monitor
    #[arg(long, global = true, env = "PG_AUTOCTL_MONITOR", hide_env_values = true, value_name = "URI")]
    pub monitor: Option<String>,
    /// Formation
    #[arg(long, global = true, value_name = "NAME")]
    pub formation: Option<String>,
    /// Group of the formation
    #[arg(long, global = true, value_name = "NUMBER")]
    pub group: Option<i32>,
    /// The pg_ctl of the PostgreSQL to use
    #[arg(long, global = true, value_name = "PATH")]
    pub pgctl: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a monitor or a node
    #[command(subcommand)]
    Create(Create),
    /// Show states, events, connection strings
    #[command(subcommand)]
    Show(Show),
    /// Read and change settings
    #[command(subcommand)]
    Config(Config),
    /// Hand the primary's role to a standby
    #[command(subcommand)]
    Perform(Perform),
    /// Remove a node from its formation
    #[command(subcommand)]
    Drop(Drop),
    /// Run the server in the foreground
    Run,
    /// Stop the server
    Stop,
    /// Print versions
    Version,
}

/// `create …`
#[derive(Debug, Subcommand)]
pub enum Create {
    /// Make and start a monitor
    Monitor(create_monitor::Args),
    /// Make and start a node, and add it to a formation
    Postgres(create_postgres::Args),
}

/// `show …`
#[derive(Debug, Subcommand)]
pub enum Show {
    /// The nodes and their states
    State,
    /// The last events
    Events(show_events::Args),
    /// What clients connect to
    Uri(show_uri::Args),
}

/// `config …`
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print a setting, or all
    Get(config::GetArgs),
    /// Change a setting
    Set(config::SetArgs),
}

/// `perform …`
#[derive(Debug, Subcommand)]
pub enum Perform {
    /// Fail over to a standby
    Failover(failover::Args),
    /// The same, by its other name
    Switchover(failover::Args),
    /// Change the passwords that nodes use, without a pause
    Rotation(rotate::Args),
}

/// `drop …`
#[derive(Debug, Subcommand)]
pub enum Drop {
    /// Remove a node
    Node(drop_node::Args),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn common_options_may_stand_anywhere() {
        for line in ["pg_autoctl --json --pgdata /d show state", "pg_autoctl show state --pgdata /d --json"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.common.json && cli.common.pgdata == Some("/d".into()), "{line}");
        }
    }

    #[test]
    fn the_commands_of_the_reference_are_there() {
        for line in [
            "create monitor --pgdata /d --pgport 6000 --hostname h --listen * --auth trust --pgctl /b/pg_ctl",
            "create postgres --pgdata /d --pgport 6000 --hostname h --name n --listen * --dbname d --username u \
             --formation f --group 1 --monitor postgres://m --auth scram-sha-256 --candidate-priority 50 \
             --replication-quorum false --no-wait --pgctl /b/pg_ctl",
            "show events --count 5 --json",
            "show uri --formation f",
            "config get",
            "config get pg_autoctl.group",
            "config set pg_autoctl.name n",
            "perform failover --formation f --group 0",
            "perform switchover",
            "perform rotation --formation f --force",
            "drop node --name n --force",
            "drop node --hostname h --pgport 6000",
            "run",
            "stop",
            "version",
        ] {
            let words = std::iter::once("pg_autoctl").chain(line.split_whitespace());
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_monitor_in_the_environment_is_never_shown_in_help() {
        let mut help = Vec::new();
        Cli::command().write_long_help(&mut help).unwrap();
        assert!(!String::from_utf8(help).unwrap().contains("PG_AUTOCTL_MONITOR="));
    }
}
