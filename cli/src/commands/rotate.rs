//! `perform rotation`: new passwords, without a pause for anybody. Killed in the middle and repeated, it goes on with what is on its way.
use crate::context::{Context, Part};
use crate::datadir;
use crate::error::{Error, Result};
use crate::monitor::{Holder, Monitor};
use crate::printer::Progress;
use crate::view::View;
use fsm::password::Password;
use fsm::units::PasswordNumber;
use node_files::{Secrets, StateDir};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Options of `perform rotation`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on without the nodes that cannot be told; they are locked out until the new password is given to them
    #[arg(long)]
    force: bool,
}

const LOOK: Duration = Duration::from_millis(100);
/// For the nodes in contact to hold a new password: they are told at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every group's password for replication, then the one that opens the monitor; with --formation the former alone.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    if context.part(&postgres)? != Part::Monitor {
        return Err(Error::arguments(format!("\"{}\" is not the monitor's", pgdata.display()))
            .hint("passwords are made by the monitor: give --pgdata of its server, on its machine"));
    }
    let monitor = Monitor::local(&datadir::require_running(pgdata)?)?;
    let work = Rotation { monitor: &monitor, context };
    let missing: Vec<String> =
        work.nodes()?.into_iter().filter(|node| !node.in_contact).map(|node| node.node_name).collect();
    if !missing.is_empty() && !args.force {
        return Err(not_in_contact(&missing));
    }
    let mut progress = Progress::start("makes new passwords");
    let groups = work.rotate_groups(&mut progress)?;
    let whole = context.named_formation().is_none() && context.group().is_none();
    if whole {
        work.rotate_own(args.force, &context.state_dir(&postgres)?, &mut progress)?;
    }
    drop(progress);
    let mut line = format!(
        "{groups} {} a new password for replication",
        if groups == 1 { "group has" } else { "groups have" }
    );
    if whole {
        line += "; autoctl_node has a new one on the monitor (pg_autoctl show uri --with-password prints it)";
    }
    if !missing.is_empty() {
        line += &format!("\nwithout: {}", missing.join(", "));
        line += "\nfor each, once its server runs: PGPASSWORD=<the new password of autoctl_node> pg_autoctl create postgres --pgdata <its directory>";
    }
    Ok(View::outcome(
        line,
        [("groups", json!(groups)), ("monitor", json!(whole)), ("without", json!(missing))],
    ))
}

fn not_in_contact(missing: &[String]) -> Error {
    Error::state(format!("these nodes are not in contact with the monitor, and cannot be told: {}", missing.join(", ")))
        .hint("start them, or drop them with pg_autoctl drop node; with --force they are left out, and are given the password later by pg_autoctl create postgres with PGPASSWORD")
}

struct Rotation<'a> {
    monitor: &'a Monitor,
    context: &'a Context,
}

impl Rotation<'_> {
    /// The nodes that it is about.
    fn nodes(&self) -> Result<Vec<Holder>> {
        let mut nodes = self.monitor.password_holders()?;
        let group = self.context.group();
        let formation = self.context.named_formation().or(group.map(|_| self.context.formation()));
        nodes.retain(|node| {
            formation.is_none_or(|name| name == node.formation_id)
                && group.is_none_or(|group| group == node.group_id)
        });
        Ok(nodes)
    }

    /// How many groups there are.
    fn rotate_groups(&self, progress: &mut Progress) -> Result<usize> {
        let nodes = self.nodes()?;
        let groups: BTreeSet<(String, i32)> =
            nodes.iter().map(|node| (node.formation_id.clone(), node.group_id)).collect();
        for (formation, group) in &groups {
            let of_group = |node: &Holder| node.formation_id == *formation && node.group_id == *group;
            // Who does not hold it yet is being told of one that somebody asked for already.
            if nodes.iter().all(|node| !of_group(node) || !node.in_contact || node.holds_replication_password)
            {
                self.monitor.rotate_replication_password(formation, *group)?;
            }
            let what = format!("group {group} of {formation}: waits for every node to have the new password");
            self.wait(&what, progress, |node| !of_group(node) || node.holds_replication_password)?;
        }
        Ok(groups.len())
    }

    fn rotate_own(&self, force: bool, state_dir: &StateDir, progress: &mut Progress) -> Result<()> {
        let number = PasswordNumber(self.monitor.rotate_node_password()?.cast_unsigned());
        self.wait("autoctl_node: waits for every node to have the new password", progress, |node| {
            node.holds_node_password
        })?;
        self.monitor.finish_node_password_rotation(force)?;
        if let Some(text) = self.monitor.node_password()? {
            let mut secrets = Secrets::read(state_dir)?;
            if secrets.take_monitor_password(Password { number, text }) {
                secrets.write(state_dir)?;
            }
        }
        Ok(())
    }

    /// Until every node in contact has it.
    fn wait(&self, what: &str, progress: &mut Progress, has_it: impl Fn(&Holder) -> bool) -> Result<()> {
        progress.now(what);
        let started = Instant::now();
        loop {
            let nodes = self.nodes()?;
            let without = nodes.iter().filter(|node| node.in_contact && !has_it(node));
            let without: Vec<&str> = without.map(|node| node.node_name.as_str()).collect();
            if without.is_empty() {
                return Ok(());
            }
            if started.elapsed() >= PATIENCE {
                return Err(Error::state(format!(
                    "these nodes have not taken the new password within {} s: {}",
                    PATIENCE.as_secs(),
                    without.join(", ")
                ))
                .hint("see pg_autoctl show state and their logs; nothing is locked out meanwhile, and repeating this command goes on"));
            }
            std::thread::sleep(LOOK);
        }
    }
}
