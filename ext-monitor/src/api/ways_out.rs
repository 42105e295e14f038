//! What groups wait for, and the way out where nothing but an operator's word ends the wait.
use super::arguments::given;
use super::{ask, check_database, run};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::refuse::About;
use crate::store::{group, node};
use crate::{gucs, pg, tell};
use fsm::monitor::explain::explain;
use fsm::monitor::{Facts, force};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::json;

/// Behind `pgautofailover.explain`. Reads only: what nobody evaluates is explained as it was left.
#[pg_extern(sql = false)]
fn explain_group(formation_id: Option<&str>, group_id: Option<i32>) -> JsonB {
    run(|| {
        check_database()?;
        let (formation, number) = (given(formation_id, "formation_id")?, given(group_id, "group_id")?);
        let serial = group::of_formation(formation, number)?;
        let stored = group::load(serial)?;
        let (policy, now) = (gucs::policy(), pg::now());
        let group = pg::board(|board| {
            let granted_until = board.group(serial).map(|slot| slot.granted_until).unwrap_or_default();
            stored.group(board, granted_until, policy.margin, now)
        })?;
        let explained = explain(&Facts::new(&group, &policy, now));
        let wait = explained.wait.as_ref();
        Ok(JsonB(json!({
            "failover": explained.failover,
            "waits_for": wait.map(|wait| &wait.waits_for),
            "ends_by": wait.map(|wait| &wait.ends_by),
            "patience": explained.patience,
        })))
    })
}

/// `pgautofailover.force_promotion`: what may be lost with it.
#[pg_extern(sql = false)]
fn force_promotion(
    formation_id: Option<&str>,
    node_name: Option<&str>,
    accept_data_loss: Option<bool>,
) -> String {
    const WHAT: &str = "force_promotion";
    let about = About { formation: formation_id, ..About::call(WHAT) };
    ask(&about, || {
        check_database()?;
        let (formation, name) = (given(formation_id, "formation_id")?, given(node_name, "node_name")?);
        let accept = given(accept_data_loss, "accept_data_loss")?;
        let id = node::called(formation, name)?;
        let (gap, _) = evaluate(group::of_node(id)?, |scene| {
            let (policy, now) = (scene.policy, scene.now);
            let refused = |why| Error::Refused { what: "forcing the promotion of this node", why };
            let gap = force::check(&scene.group, id, &policy, now).map_err(refused)?.to_string();
            if !accept {
                return Err(Error::MayLose(gap));
            }
            tell::command(scene, Some(id), &format!("{WHAT} with data loss accepted ({gap})"))?;
            force::force_promotion(&mut scene.group, id, &policy, now).map_err(refused)?;
            Ok(gap)
        })?;
        Ok(gap)
    })
}
