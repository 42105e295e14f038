//! New passwords, asked for by operators.
use super::{ask, check_database, run};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::refuse::About;
use crate::store::{group, password};
use crate::tell;
use pgrx::prelude::*;

/// `pgautofailover.rotate_replication_password`: returns the number of the new one. The nodes hear of it at once.
#[pg_extern(sql = false)]
fn rotate_replication_password(formation: &str, group_id: i32) -> i64 {
    let what = "rotate_replication_password";
    ask(&About::group(what, formation, group_id), || {
        check_database()?;
        let (number, _) = evaluate(group::of_formation(formation, group_id)?, |scene| {
            tell::command(scene, None, what)?;
            scene.stored.replication_password = password::rotate_of_group(scene.serial)?;
            scene.news = true;
            Ok(scene.stored.replication_password.number)
        })?;
        Ok(number.0.cast_signed())
    })
}

/// `pgautofailover.rotate_node_password`: returns the number of the new one, or of the one that is on its way already. It
/// opens nothing before it is put in force.
#[pg_extern(sql = false)]
fn rotate_node_password() -> i64 {
    let what = "rotate_node_password";
    ask(&About { what, ..About::default() }, || {
        check_database()?;
        password::rotate_of_nodes()?;
        let (newest, _) = password::of_nodes()?
            .ok_or_else(|| Error::Internal("the new password of the nodes was not stored".into()))?;
        for serial in group::all()? {
            evaluate(serial, |scene| {
                scene.news = true;
                tell::command(scene, None, what)
            })?;
        }
        Ok(newest.number.0.cast_signed())
    })
}

/// `pgautofailover.finish_node_password_rotation`: false when nothing was on its way.
#[pg_extern(sql = false)]
fn finish_node_password_rotation(force: bool) -> bool {
    ask(&About { what: "finish_node_password_rotation", ..About::default() }, || {
        check_database()?;
        let Some((newest, false)) = password::of_nodes()? else { return Ok(false) };
        let missing = password::without(&newest)?;
        if !missing.is_empty() && !force {
            return Err(Error::WithoutPassword(missing));
        }
        password::put_in_force(&newest)?;
        tell::monitor_command("the new password of autoctl_node is in force")?;
        Ok(true)
    })
}

/// `pgautofailover.node_password`: the password of the nodes' role, when it is one that the monitor made.
#[pg_extern(sql = false)]
fn node_password() -> Option<String> {
    run(|| {
        check_database()?;
        Ok(password::of_nodes()?.filter(|(_, in_force)| *in_force).map(|(newest, _)| newest.text))
    })
}
