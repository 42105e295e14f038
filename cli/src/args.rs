//! The command line: what may be typed. Each command's own options stand in its file.
use crate::commands::{
    config, create_monitor, create_postgres, drop_node, enable_ssl, failover, force_promotion, formation,
    maintenance, promotion, rotate, show_events, show_state, show_timing, show_uri, start_without_monitor,
    tune,
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
    /// Read what the monitor keeps about nodes and formations
    #[command(subcommand)]
    Get(tune::Get),
    /// Change what the monitor keeps about nodes and formations
    #[command(subcommand)]
    Set(tune::Set),
    /// Hand the primary's role to a standby, change passwords
    #[command(subcommand)]
    Perform(Perform),
    /// Turn something on
    #[command(subcommand)]
    Enable(Enable),
    /// Turn something off
    #[command(subcommand)]
    Disable(Disable),
    /// Remove a node, a formation or a monitor
    #[command(subcommand)]
    Drop(Drop),
    /// Show the states, and every change at once
    Watch,
    /// Run the server in the foreground
    Run,
    /// Stop the server
    Stop,
    /// Have the server read its configuration again
    Reload,
    /// Whether the server runs, and as what
    Status,
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
    /// Make a formation on a monitor
    Formation(formation::CreateArgs),
}

/// `show …`
#[derive(Debug, Subcommand)]
pub enum Show {
    /// The nodes and their states
    State(show_state::Args),
    /// The last events
    Events(show_events::Args),
    /// The last failovers and switchovers: when each phase was reached
    Timing(show_timing::Args),
    /// What clients connect to
    Uri(show_uri::Args),
    /// What the monitor keeps about formations and nodes
    Settings,
    /// What synchronous_standby_names is on the primary
    #[command(alias = "synchronous_standby_names")]
    StandbyNames,
}

/// `config …`
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print a setting, or all
    Get(config::GetArgs),
    /// Change a setting
    Set(config::SetArgs),
    /// Look for what would be in the way, now or at the next failover
    Check,
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
    /// Have the next failover of a group be as fast as if there had been none before
    ForgetFailovers,
    /// Fail over to the named node
    Promotion(promotion::Args),
    /// Promote a node although others may have commits that it lacks, when nothing else helps
    ForcePromotion(force_promotion::Args),
    /// Have the last primary write although its monitor is away
    StartWithoutMonitor(start_without_monitor::Args),
}

/// `enable …`
#[derive(Debug, Subcommand)]
pub enum Enable {
    /// Take a node out of its group's work, so that its server may be stopped
    Maintenance(maintenance::EnableArgs),
    /// Let the groups of a formation have standbys
    Secondary,
    /// Give a server a certificate, or another one, while it runs
    Ssl(enable_ssl::Args),
}

/// `disable …`
#[derive(Debug, Subcommand)]
pub enum Disable {
    /// Put a node to work again
    Maintenance(maintenance::DisableArgs),
    /// Let the groups of a formation have one node only
    Secondary,
    /// Have a server speak without encryption
    Ssl,
}

/// `drop …`
#[derive(Debug, Subcommand)]
pub enum Drop {
    /// Remove a node
    Node(drop_node::Args),
    /// Drop a formation that has no nodes
    Formation,
    /// Stop a monitor for good
    Monitor,
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
            "create monitor --pgdata /d --pgport 6000 --hostname h --listen * --auth trust --pgctl /b/pg_ctl --run",
            "create postgres --pgdata /d --pgport 6000 --hostname h --name n --listen * --dbname d --username u \
             --formation f --group 1 --monitor postgres://m --auth scram-sha-256 --candidate-priority 50 \
             --replication-quorum false --no-wait --pgctl /b/pg_ctl",
            "create postgres --pgdata /d --no-restart",
            "create postgres --pgdata /d --run",
            "show events --count 5 --json",
            "show uri --formation f",
            "config get",
            "config get pg_autoctl.group",
            "config set pg_autoctl.name n",
            "config check",
            "perform failover --formation f --group 0",
            "perform switchover",
            "perform rotation --formation f --force",
            "drop node --name n --force",
            "drop node --hostname h --pgport 6000",
            "drop formation --formation f",
            "drop monitor --pgdata /d",
            "create formation --formation f --dbname d --number-sync-standbys 1 --disable-secondary",
            "show state --watch",
            "watch",
            "show settings --formation f",
            "show standby-names --json",
            "enable maintenance --allow-failover --no-wait",
            "enable maintenance --name n",
            "disable maintenance --hostname h --pgport 6000",
            "enable secondary --formation f",
            "disable secondary --formation f",
            "perform promotion --name n",
            "perform forget-failovers --formation f --group 0",
            "perform start-without-monitor --accept-data-loss",
            "perform force-promotion --name n --accept-data-loss --no-wait",
            "get node candidate-priority",
            "get node replication-quorum --name n",
            "set node candidate-priority 50",
            "set node replication-quorum --name n false",
            "get formation settings",
            "get formation number-sync-standbys",
            "set formation number-sync-standbys 1 --formation f",
            "run",
            "stop",
            "reload",
            "status",
            "help",
            "enable ssl --ssl-self-signed",
            "enable ssl --server-cert c --server-key k --ssl-ca-file a --ssl-crl-file l --ssl-mode verify-ca",
            "disable ssl",
            "create monitor --no-ssl",
            "version",
        ] {
            let words = std::iter::once("pg_autoctl").chain(line.split_whitespace());
            let parsed = Cli::try_parse_from(words);
            let helped =
                parsed.as_ref().is_err_and(|error| error.kind() == clap::error::ErrorKind::DisplayHelp);
            assert!(parsed.is_ok() || line == "help" && helped, "{line}");
        }
    }

    #[test]
    fn a_monitor_in_the_environment_is_never_shown_in_help() {
        let mut help = Vec::new();
        Cli::command().write_long_help(&mut help).unwrap();
        assert!(!String::from_utf8(help).unwrap().contains("PG_AUTOCTL_MONITOR="));
    }
}
