//! Who a node is: its name, its address, its cluster.
use super::arguments::{self, given};
use super::heartbeat::check_cluster;
use super::{ask, check_database};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::refuse::About;
use crate::store::{formation, group, node};
use crate::tell;
use fsm::units::NodeId;
use pgrx::prelude::*;

/// `pgautofailover.set_node_system_identifier`.
#[pg_extern(sql = false)]
fn set_system_identifier(node_id: Option<i64>, sysid: Option<i64>) {
    let about = About { node: node_id.map(NodeId), ..About::call("set_node_system_identifier") };
    ask(&about, || {
        check_database()?;
        let (id, system_identifier) = (NodeId(given(node_id, "node_id")?), given(sysid, "sysid")?);
        evaluate(group::of_node(id)?, |scene| {
            check_cluster(scene, id, system_identifier)?;
            let member = scene.member_mut(id).ok_or(Error::UnknownNode(id))?;
            member.system_identifier = system_identifier;
            Ok(())
        })?;
        Ok(())
    });
}

/// `pgautofailover.update_node_metadata`: what is NULL stays as it is. The other nodes hear of a new address at once.
#[pg_extern(sql = false)]
fn update_node_metadata(
    node_id: Option<i64>,
    node_name: Option<&str>,
    node_host: Option<&str>,
    node_port: Option<i32>,
) -> bool {
    const WHAT: &str = "update_node_metadata";
    let about = About { node: node_id.map(NodeId), address: node_host.zip(node_port), ..About::call(WHAT) };
    ask(&about, || {
        check_database()?;
        let id = NodeId(given(node_id, "node_id")?);
        let name = node_name.map(arguments::label).transpose()?;
        let host = node_host.map(arguments::host).transpose()?;
        let port = node_port.map(arguments::port).transpose()?;
        // So that nobody takes the name meanwhile.
        formation::hold(&formation::of_node(id)?)?;
        evaluate(group::of_node(id)?, |scene| {
            let known = scene.member(id).ok_or(Error::UnknownNode(id))?;
            let mut renamed = known.clone();
            renamed.name = name.unwrap_or(&known.name).to_owned();
            renamed.host = host.unwrap_or(&known.host).to_owned();
            renamed.port = port.unwrap_or(known.port);
            if renamed == *known {
                return Ok(());
            }
            let holder =
                node::holder(&scene.stored.formation, &renamed.name, &renamed.host, renamed.port, id)?;
            if let Some((formation, holder)) = holder {
                return Err(Error::Taken {
                    message: format!(
                        "node {holder} of formation \"{formation}\" has the name \"{}\" or the address {}:{}",
                        renamed.name, renamed.host, renamed.port
                    ),
                    hint: "Choose another name or address, or drop that node first.",
                });
            }
            let what = format!("{WHAT} to \"{}\" ({}:{})", renamed.name, renamed.host, renamed.port);
            tell::command(scene, Some(id), &what)?;
            scene.news = true;
            *scene.member_mut(id).ok_or(Error::UnknownNode(id))? = renamed;
            Ok(())
        })?;
        Ok(true)
    })
}
