//! Taking in a node that belonged to another monitor: in the role that it has, under the id that it has.
use super::arguments::{self, given};
use super::heartbeat::check_cluster;
use super::{ask, check_database};
use crate::error::Error;
use crate::evaluate::{Scene, evaluate};
use crate::refuse::About;
use crate::store::node::{Member, NodeState};
use crate::store::{formation, group, node};
use fsm::message::Report;
use fsm::monitor::operate;
use fsm::rule::Rule;
use fsm::units::NodeId;
use pgrx::prelude::*;

/// What `adopt_node` was told of a node.
struct Newcomer<'a> {
    formation: &'a str,
    id: NodeId,
    name: &'a str,
    host: &'a str,
    port: u16,
    system_identifier: i64,
    priority: u8,
    quorum: bool,
    cluster: &'a str,
    report: Report,
    rule: Rule,
    /// The formation has secondaries: a group may have more than one node.
    may_follow: bool,
}

/// Behind `pgautofailover.adopt_node`.
#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "they are those of the SQL function")]
fn adopt(
    formation_id: Option<&str>,
    node_id: Option<i64>,
    group_id: Option<i32>,
    node_name: Option<&str>,
    node_host: Option<&str>,
    node_port: Option<i32>,
    dbname: Option<&str>,
    sysidentifier: Option<i64>,
    candidate_priority: Option<i32>,
    replication_quorum: Option<bool>,
    node_cluster: Option<&str>,
    report: Option<&str>,
    rule: Option<&str>,
) {
    let about = About {
        formation: formation_id,
        group: group_id,
        address: node_host.zip(node_port),
        ..About::call("adopt_node")
    };
    ask(&about, || {
        check_database()?;
        let mut newcomer = Newcomer {
            formation: given(formation_id, "formation_id")?,
            id: arguments::desired_id(given(node_id, "node_id")?)?,
            name: arguments::name(given(node_name, "node_name")?)?,
            host: arguments::host(given(node_host, "node_host")?)?,
            port: arguments::port(given(node_port, "node_port")?)?,
            system_identifier: given(sysidentifier, "sysidentifier")?,
            priority: arguments::priority(given(candidate_priority, "candidate_priority")?)?,
            quorum: given(replication_quorum, "replication_quorum")?,
            cluster: arguments::name(given(node_cluster, "node_cluster")?)?,
            report: arguments::report(given(report, "report")?)?,
            rule: arguments::rule(given(rule, "rule")?)?,
            may_follow: true,
        };
        let number = arguments::group_number(given(group_id, "group_id")?)?;
        check(&newcomer)?;
        newcomer.may_follow = formation::hold(newcomer.formation)?.has_secondaries;
        formation::name_database(
            newcomer.formation,
            dbname.unwrap_or_default(),
            newcomer.host,
            newcomer.port,
        )?;
        let serial = group::of_formation_or_new(newcomer.formation, number)?;
        evaluate(serial, |scene| take_over(scene, &newcomer))?;
        Ok(())
    });
}

/// Whether what was told fits together.
fn check(newcomer: &Newcomer) -> Result<(), Error> {
    let Newcomer { id, report, rule, .. } = newcomer;
    arguments::room_after(report, rule)?;
    let identifier = report.system_identifier.cast_signed();
    let unfit = |message: String| {
        Err(Error::BadArgument { message, hint: "Give the node's own report, and the rule in force on it." })
    };
    if report.node != *id {
        return unfit(format!("the report is of node {}, and not of node {id}", report.node));
    }
    if ![0, newcomer.system_identifier].contains(&identifier) {
        return unfit(format!(
            "the report is of system identifier {identifier}, and not of {}",
            newcomer.system_identifier
        ));
    }
    if rule.members.contains(id) || (report.state.writes() && report.rule != rule.number) {
        return unfit(format!("rule {} is not the one in force on node {id}", rule.number));
    }
    Ok(())
}

fn take_over(scene: &mut Scene, newcomer: &Newcomer) -> Result<(), Error> {
    let taken = |message: String, hint: &'static str| Err(Error::Taken { message, hint });
    let id = newcomer.id;
    // Adopted before: what has changed since, the node's keeper tells.
    let known = scene.member(id);
    if known.is_some_and(|known| (known.host.as_str(), known.port) == (newcomer.host, newcomer.port)) {
        // An operator's word that this monitor is the one to obey.
        if ![0, scene.group.epoch].contains(&newcomer.report.epoch) {
            scene.group.succeeds.insert(newcomer.report.epoch);
        }
        return Ok(());
    }
    node::lock_ids()?;
    if known.is_some() || node::is_known(id)? {
        return taken(
            format!("another node of this monitor has the id {id}"),
            "Take the node to a monitor that does not know other nodes yet, or create it again here.",
        );
    }
    if !newcomer.may_follow && !scene.group.nodes.is_empty() {
        return Err(Error::NoSecondaries(newcomer.formation.to_owned()));
    }
    if let Some((formation, holder)) =
        node::holder(newcomer.formation, newcomer.name, newcomer.host, newcomer.port, id)?
    {
        return taken(
            format!(
                "node {holder} of formation \"{formation}\" has the name \"{}\" or the address {}:{}",
                newcomer.name, newcomer.host, newcomer.port
            ),
            "Drop that node first, or give this one another name or address.",
        );
    }
    if let Some(serial) = group::awaiting(id)?.filter(|serial| *serial != scene.serial) {
        return taken(
            format!("node {id} is awaited in the group with the serial number {serial}"),
            "Give the formation and the group that the node had.",
        );
    }
    let named = newcomer.rule.members.union(&newcomer.report.named);
    for member in named.filter(|member| scene.member(**member).is_none()) {
        if node::is_known(*member)? {
            return taken(
                format!("node {member}, which node {id} knows of, has the id of another node here"),
                "Take the nodes to a monitor that does not know other nodes yet.",
            );
        }
    }
    if newcomer.system_identifier != 0 {
        check_cluster(scene, id, newcomer.system_identifier)?;
    }
    let now = scene.now;
    operate::adopt(
        &mut scene.group,
        &newcomer.report,
        &newcomer.rule,
        newcomer.priority,
        newcomer.quorum,
        now,
    )
    .map_err(|why| Error::Refused { what: "adopting the node", why })?;
    // Nobody may be given an id that this group knows, be it of a node that is still to come.
    for id in newcomer.rule.members.union(&newcomer.report.named).copied().chain([id]) {
        node::take_id(id)?;
    }
    let adopted = scene.group.node(id).ok_or(Error::UnknownNode(id))?;
    let member = Member {
        id,
        name: if newcomer.name.is_empty() { format!("node_{id}") } else { newcomer.name.to_owned() },
        host: newcomer.host.to_owned(),
        port: newcomer.port,
        cluster: newcomer.cluster.to_owned(),
        system_identifier: newcomer.system_identifier,
        pg_is_running: true,
        rep_state: String::new(),
        passwords: newcomer.report.passwords,
        note: newcomer.report.note.clone(),
        state: NodeState::of(adopted),
        lsn: adopted.lsn,
    };
    scene.members.push(member);
    Ok(())
}
