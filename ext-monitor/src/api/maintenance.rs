//! Taking a standby out of synchronous replication, so that its server may be taken down, and taking it back in.
use super::arguments::given;
use super::ask;
use super::request::Request;
use crate::error::Error;
use crate::refuse::About;
use crate::store::node;
use fsm::monitor::operate;
use fsm::units::NodeId;
use pgrx::prelude::*;

const START: Request<'static> = Request { function: "start_maintenance", what: "maintenance of the node" };
const STOP: Request<'static> = Request { function: "stop_maintenance", what: "the end of the maintenance" };

/// `pgautofailover.start_maintenance(bigint)`: false when there is no such node.
#[pg_extern(sql = false)]
fn start_maintenance(node_id: Option<i64>) -> bool {
    ask(&by_id(&START, node_id), || start(NodeId(given(node_id, "node_id")?)))
}

/// `pgautofailover.start_maintenance(text, int)`: of the node at an address, or of that name and port.
#[pg_extern(sql = false)]
fn start_maintenance_named(name: Option<&str>, port: Option<i32>) -> bool {
    ask(&by_name(&START, name, port), || match named(name, port)? {
        Some(id) => start(id),
        None => Ok(false),
    })
}

/// `pgautofailover.stop_maintenance(bigint)`: false when there is no such node.
#[pg_extern(sql = false)]
fn stop_maintenance(node_id: Option<i64>) -> bool {
    ask(&by_id(&STOP, node_id), || stop(NodeId(given(node_id, "node_id")?)))
}

/// `pgautofailover.stop_maintenance(text, int)`.
#[pg_extern(sql = false)]
fn stop_maintenance_named(name: Option<&str>, port: Option<i32>) -> bool {
    ask(&by_name(&STOP, name, port), || match named(name, port)? {
        Some(id) => stop(id),
        None => Ok(false),
    })
}

fn start(id: NodeId) -> Result<bool, Error> {
    let done = START.of(id, |group, policy, now| operate::start_maintenance(group, id, policy, now))?;
    Ok(done.is_some())
}

fn stop(id: NodeId) -> Result<bool, Error> {
    let done = STOP.of(id, |group, _, now| operate::stop_maintenance(group, id, now))?;
    Ok(done.is_some())
}

fn named(name: Option<&str>, port: Option<i32>) -> Result<Option<NodeId>, Error> {
    super::check_database()?;
    let (name, port) = (given(name, "node_name")?, given(port, "node_port")?);
    match node::named(name, port)?[..] {
        [] => Ok(None),
        [id] => Ok(Some(id)),
        [..] => Err(Error::BadArgument {
            message: format!("several nodes are called \"{name}\" and listen on port {port}"),
            hint: "Give the node's host in place of its name, or its id.",
        }),
    }
}

fn by_id(request: &Request<'static>, node_id: Option<i64>) -> About<'static> {
    About { node: node_id.map(NodeId), ..About::call(request.function) }
}

fn by_name<'a>(request: &Request<'static>, name: Option<&'a str>, port: Option<i32>) -> About<'a> {
    About { address: name.zip(port), ..About::call(request.function) }
}
