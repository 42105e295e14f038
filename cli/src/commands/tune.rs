//! `get node|formation …` and `set node|formation …`: what the monitor keeps about them.
use super::show_settings;
use super::which::Which;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::view::{NodeState, Setting, View};
use clap::{Args, Subcommand};
use serde_json::json;

/// `get …`
#[derive(Debug, Subcommand)]
pub enum Get {
    /// A setting of a node
    #[command(subcommand)]
    Node(GetNode),
    /// A setting of a formation
    #[command(subcommand)]
    Formation(GetFormation),
}

/// `set …`
#[derive(Debug, Subcommand)]
pub enum Set {
    /// A setting of a node
    #[command(subcommand)]
    Node(SetNode),
    /// A setting of a formation
    #[command(subcommand)]
    Formation(SetFormation),
}

/// `get node …`
#[derive(Debug, Subcommand)]
pub enum GetNode {
    /// How much it is wished as primary: 0 to 100; 0: never
    CandidatePriority(Which),
    /// Whether commits may wait for it
    ReplicationQuorum(Which),
}

/// `set node …`
#[derive(Debug, Subcommand)]
pub enum SetNode {
    /// How much it is wished as primary: 0 to 100; 0: never
    CandidatePriority(Priority),
    /// Whether commits may wait for it
    ReplicationQuorum(Quorum),
}

/// `get formation …`
#[derive(Debug, Subcommand)]
pub enum GetFormation {
    /// Everything about it and its nodes
    Settings,
    /// How many standbys a commit waits for, at the least
    NumberSyncStandbys,
}

/// `set formation …`
#[derive(Debug, Subcommand)]
pub enum SetFormation {
    /// How many standbys a commit waits for, at the least
    NumberSyncStandbys(Number),
}

/// A node and its priority.
#[derive(Debug, Args)]
pub struct Priority {
    #[command(flatten)]
    which: Which,
    /// 0 to 100
    #[arg(value_parser = clap::value_parser!(i32).range(0..=100))]
    priority: i32,
}

/// A node and whether commits may wait for it.
#[derive(Debug, Args)]
pub struct Quorum {
    #[command(flatten)]
    which: Which,
    /// true or false
    #[arg(action = clap::ArgAction::Set, value_name = "BOOL")]
    quorum: bool,
}

/// A number of standbys.
#[derive(Debug, Args)]
pub struct Number {
    /// 0 or more
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    number: i32,
}

const PRIORITY: &str = "candidate-priority";
const QUORUM: &str = "replication-quorum";
const STANDBYS: &str = "number-sync-standbys";

/// Prints a setting.
pub fn get(what: &Get, context: &Context) -> Result<View> {
    let setting = |key: &str, value: String| View::Value(Setting { key: key.to_owned(), value });
    match what {
        Get::Node(GetNode::CandidatePriority(which)) => {
            Ok(setting(PRIORITY, shown(which.find(context)?.1.candidate_priority)))
        }
        Get::Node(GetNode::ReplicationQuorum(which)) => {
            Ok(setting(QUORUM, shown(which.find(context)?.1.replication_quorum)))
        }
        Get::Formation(GetFormation::Settings) => show_settings::run(context),
        Get::Formation(GetFormation::NumberSyncStandbys) => {
            let (monitor, scope) = context.open_monitor()?;
            let name = scope.known_formation(&monitor)?;
            Ok(setting(STANDBYS, monitor.number_sync_standbys(&name)?.to_string()))
        }
    }
}

/// Changes a setting. The value that it has already is no error.
pub fn set(what: &Set, context: &Context) -> Result<View> {
    match what {
        Set::Node(SetNode::CandidatePriority(Priority { which, priority })) => {
            let (monitor, node) = which.find(context)?;
            let known = monitor.set_candidate_priority(&node.formation, &node.nodename, *priority)?;
            of_node(known, &node, PRIORITY, json!(priority))
        }
        Set::Node(SetNode::ReplicationQuorum(Quorum { which, quorum })) => {
            let (monitor, node) = which.find(context)?;
            let known = monitor.set_replication_quorum(&node.formation, &node.nodename, *quorum)?;
            of_node(known, &node, QUORUM, json!(quorum))
        }
        Set::Formation(SetFormation::NumberSyncStandbys(Number { number })) => {
            let (monitor, scope) = context.open_monitor()?;
            let name = scope.known_formation(&monitor)?;
            monitor.set_number_sync_standbys(&name, *number)?;
            Ok(View::outcome(
                format!("{STANDBYS} of formation {name} is {number}"),
                [("formation", json!(name)), ("key", json!(STANDBYS)), ("value", json!(number))],
            ))
        }
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn of_node(known: bool, node: &NodeState, key: &str, value: serde_json::Value) -> Result<View> {
    if !known {
        return Err(Error::state(format!("the monitor does not know {} any more", node.nodename))
            .hint("see pg_autoctl show state"));
    }
    let line = format!("{key} of {} is {value}", node.nodename);
    Ok(View::outcome(line, [("nodename", json!(node.nodename)), ("key", json!(key)), ("value", value)]))
}
