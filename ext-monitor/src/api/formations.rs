//! Formations, and what is set for all of their groups.
use super::arguments::{self, given};
use super::{ask, check_database};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::refuse::About;
use crate::store::formation::{self, Formation};
use crate::store::group;
use crate::tell;
use fsm::monitor::operate;
use pgrx::prelude::*;

/// Behind `pgautofailover.create_formation`. Repeating it changes nothing.
#[pg_extern(sql = false)]
fn make_formation(
    formation_id: Option<&str>,
    kind: Option<&str>,
    dbname: Option<&str>,
    opt_secondary: Option<bool>,
    number_sync_standbys: Option<i32>,
) {
    const WHAT: &str = "create_formation";
    ask(&About { formation: formation_id, ..About::call(WHAT) }, || {
        check_database()?;
        let name = arguments::formation_name(given(formation_id, "formation_id")?)?;
        let kind = given(kind, "kind")?;
        if kind != "pgsql" {
            return Err(Error::BadArgument {
                message: format!("formation kind \"{kind}\" is not supported"),
                hint: "The only kind is 'pgsql'.",
            });
        }
        let number = given(number_sync_standbys, "number_sync_standbys")?;
        let wish = Formation {
            database: arguments::database(given(dbname, "dbname")?)?.to_owned(),
            has_secondaries: given(opt_secondary, "opt_secondary")?,
            number_sync_standbys: arguments::number_sync_standbys(number)?,
        };
        if formation::create(name, &wish)? {
            return tell::formation_command(name, None, WHAT);
        }
        if formation::hold(name)? == wish {
            return Ok(());
        }
        Err(Error::Taken {
            message: format!("formation \"{name}\" exists already, with other settings"),
            hint: "Choose another name, or change the settings of the existing formation.",
        })
    });
}

/// `pgautofailover.drop_formation`.
#[pg_extern(sql = false)]
fn drop_formation(formation_id: Option<&str>) {
    const WHAT: &str = "drop_formation";
    ask(&About { formation: formation_id, ..About::call(WHAT) }, || {
        check_database()?;
        let name = given(formation_id, "formation_id")?;
        formation::hold(name)?;
        if formation::largest_group(name)? > 0 {
            return Err(Error::FormationInUse {
                message: format!("formation \"{name}\" still has nodes"),
                hint: "Drop its nodes first, with pg_autoctl drop node.",
            });
        }
        tell::formation_command(name, None, WHAT)?;
        formation::drop(name)
    });
}

/// `pgautofailover.enable_secondary`: groups of the formation may have more than one node.
#[pg_extern(sql = false)]
fn enable_secondary(formation_id: Option<&str>) {
    set_secondaries("enable_secondary", formation_id, true);
}

/// `pgautofailover.disable_secondary`: each new node opens a group of its own.
#[pg_extern(sql = false)]
fn disable_secondary(formation_id: Option<&str>) {
    set_secondaries("disable_secondary", formation_id, false);
}

fn set_secondaries(what: &'static str, formation_id: Option<&str>, wanted: bool) {
    ask(&About { formation: formation_id, ..About::call(what) }, || {
        check_database()?;
        let name = given(formation_id, "formation_id")?;
        let now = formation::hold(name)?;
        if !wanted && formation::largest_group(name)? > 1 {
            return Err(Error::FormationInUse {
                message: format!("formation \"{name}\" has secondaries"),
                hint: "Drop them first, with pg_autoctl drop node.",
            });
        }
        tell::formation_command(name, None, what)?;
        formation::set(name, &Formation { has_secondaries: wanted, ..now })
    });
}

/// `pgautofailover.set_formation_number_sync_standbys`: for every group of the formation.
#[pg_extern(sql = false)]
fn set_formation_number_sync_standbys(formation_id: Option<&str>, number_sync_standbys: Option<i32>) -> bool {
    const WHAT: &str = "set_formation_number_sync_standbys";
    ask(&About { formation: formation_id, ..About::call(WHAT) }, || {
        check_database()?;
        let name = given(formation_id, "formation_id")?;
        let number = given(number_sync_standbys, "number_sync_standbys")?;
        let number = arguments::number_sync_standbys(number)?;
        let now = formation::hold(name)?;
        tell::formation_command(name, None, &format!("{WHAT} to {number}"))?;
        formation::set(name, &Formation { number_sync_standbys: number, ..now })?;
        for serial in group::all_of(name)? {
            evaluate(serial, |scene| {
                // A group of one node has nobody to wait for, whatever is asked for.
                if scene.group.nodes.len() < 2 || operate::can_wait_for(&scene.group, number) {
                    return Ok(());
                }
                Err(Error::BadArgument {
                    message: format!(
                        "group {} of formation \"{name}\" has too few standbys for number_sync_standbys = {number}",
                        scene.stored.number
                    ),
                    hint: "Add standbys first: n needs n+1 of them that take part in the replication quorum.",
                })
            })?;
        }
        Ok(true)
    })
}
