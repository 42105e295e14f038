//! For the worker and the views: the way between board and tables.
use super::{check_database, run};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::notify::{self, Push};
use crate::store::group;
use crate::{gucs, pg};
use fsm::monitor::{Facts, images};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::json;

/// `pgautofailover.evaluate`: what the worker calls when something was lost, or a clock may have run out. With `ask` the
/// group's keepers are asked to report at once.
#[pg_extern(sql = false)]
fn evaluate_group(serial: i32, ask: bool) {
    run(|| {
        check_database()?;
        if ask {
            notify::push(serial, Push::Report)?;
        }
        look_at(serial)
    });
}

/// Evaluates a group; one that was dropped meanwhile needs nothing more.
fn look_at(serial: i32) -> Result<(), Error> {
    match evaluate(serial, |_| Ok(())) {
        Ok(_) | Err(Error::UnknownGroup(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// `pgautofailover.wake_up`: the board learns every group and node that the tables have, and forgets the others.
#[pg_extern(sql = false)]
fn wake_up() -> i32 {
    run(|| {
        check_database()?;
        let groups = group::all()?;
        for serial in &groups {
            look_at(*serial)?;
        }
        pg::board(|board| board.keep_groups(|serial| groups.contains(&serial)))?;
        i32::try_from(groups.len()).map_err(|_| Error::Internal("there are too many groups to count".into()))
    })
}

/// `pgautofailover.clear_board`: a new extension starts with new ids. Not an error without a board: the extension may
/// be created before the library is preloaded.
#[pg_extern(sql = false)]
fn clear_board() {
    run(|| {
        if check_database().is_ok() {
            pg::board(|board| board.keep_groups(|_| false))?;
        }
        Ok(())
    });
}

/// `pgautofailover.live`: what is known of every node for the moment, as a JSON array of objects.
#[pg_extern(sql = false)]
fn live() -> JsonB {
    run(|| {
        check_database()?;
        let (policy, now) = (gucs::policy(), pg::now());
        let mut nodes = Vec::new();
        for serial in group::all()? {
            let stored = match group::load(serial) {
                Err(Error::UnknownGroup(_)) => continue,
                other => other?,
            };
            let (group, slots) = pg::board(|board| {
                let granted_until = board.group(serial).map(|slot| slot.granted_until).unwrap_or_default();
                let group = stored.group(board, granted_until, policy.margin, now);
                let slots: Vec<_> = group.nodes.iter().map(|node| board.node(node.id).copied()).collect();
                (group, slots)
            })?;
            let facts = Facts::new(&group, &policy, now);
            for (node, slot) in group.nodes.iter().zip(slots) {
                nodes.push(json!({
                    "nodeid": node.id,
                    "health": notify::health_number(facts.health(node)),
                    "lsn": node.lsn.unwrap_or_default(),
                    "reported_ms_ago": node.heard.map(|heard| now.since(heard)),
                    "probed_ms_ago": slot.and_then(|slot| slot.probed).map(|probed| now.since(probed)),
                    "session": node.session,
                    "probe": node.probe,
                    "note": images::note(&facts, node),
                }));
            }
        }
        Ok(JsonB(nodes.into()))
    })
}
