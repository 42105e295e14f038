//! Views as tables, in the manner of psql.
use crate::view::{Event, NodeState, Uri, View};
use fsm::state::State;

/// The text for people.
pub fn render(view: &View) -> String {
    match view {
        View::Nothing => String::new(),
        View::States(nodes) => table(
            ["Name", "Node", "Host:Port", "TLI: LSN", "Connection", "Reported State", "Assigned State"],
            nodes.iter().map(state_row),
        ),
        View::Events(events) => table(
            ["Event Time", "Node", "Current State", "Assigned State", "Comment"],
            events.iter().map(event_row),
        ),
        View::Uris(uris) => table(["Type", "Name", "Connection String"], uris.iter().map(uri_row)),
        View::Value(setting) => format!("{}\n", setting.value),
        View::Settings(settings) => {
            settings.iter().map(|setting| format!("{} = {}\n", setting.key, setting.value)).collect()
        }
        View::Outcome { line, .. } => format!("{line}\n"),
    }
}

fn state_row(node: &NodeState) -> [String; 7] {
    [
        node.nodename.clone(),
        node.node_id.to_string(),
        format!("{}:{}", node.nodehost, node.nodeport),
        format!("{}: {}", node.reported_tli, node.reported_lsn),
        connection(node),
        node.current_group_state.clone(),
        node.assigned_group_state.clone(),
    ]
}

/// What a client can do there, with a mark when the health probe does not agree: `!` bad, `?` unknown.
fn connection(node: &NodeState) -> String {
    let mark = match node.health {
        1 => "",
        0 => " !",
        _ => " ?",
    };
    let what = match node.reported() {
        Some(State::Single | State::WaitPrimary | State::Primary) => "read-write",
        Some(
            State::Draining
            | State::DemoteTimeout
            | State::Demoted
            | State::CatchingUp
            | State::Secondary
            | State::PreparePromotion
            | State::StopReplication
            | State::JoinPrimary
            | State::ApplySettings
            | State::PrepareMaintenance
            | State::WaitMaintenance
            | State::ReportLsn
            | State::FastForward
            | State::JoinSecondary,
        ) => "read-only",
        Some(State::Unknown | State::Init | State::WaitStandby | State::Maintenance | State::Dropped)
        | None => "none",
    };
    format!("{what}{mark}")
}

fn event_row(event: &Event) -> [String; 5] {
    let node = match (&event.nodename, event.groupid, event.nodeid) {
        (Some(name), _, _) => name.clone(),
        (None, Some(group), Some(node)) => format!("{group}/{node}"),
        (None, Some(group), None) => format!("group {group}"),
        (None, None, _) => String::new(),
    };
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    [
        event.eventtime.clone(),
        node,
        text(&event.reportedstate),
        text(&event.goalstate),
        text(&event.description),
    ]
}

fn uri_row(uri: &Uri) -> [String; 3] {
    [uri.kind.clone(), uri.name.clone(), uri.uri.clone()]
}

/// Columns as wide as their widest cell, the header centred. No blanks at the ends of lines.
fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.collect();
    let width: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    });
    let line = |cells: Vec<String>| format!(" {}\n", cells.join(" | ").trim_end());
    let mut text = line(header.iter().zip(width).map(|(cell, width)| format!("{cell:^width$}")).collect());
    text.push_str(&width.map(|width| "-".repeat(width + 2)).join("+"));
    text.push('\n');
    for row in &rows {
        text.push_str(&line(row.iter().zip(width).map(|(cell, width)| format!("{cell:<width$}")).collect()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, id: i64, state: &str, health: i32) -> NodeState {
        NodeState {
            formation: "default".into(),
            formation_kind: "pgsql".into(),
            nodename: name.into(),
            nodehost: "10.0.0.1".into(),
            nodeport: 5432,
            group_id: 0,
            node_id: id,
            current_group_state: state.into(),
            assigned_group_state: state.into(),
            candidate_priority: 100,
            replication_quorum: true,
            reported_tli: 1,
            reported_lsn: "0/3000148".into(),
            health,
            nodecluster: "default".into(),
        }
    }

    #[test]
    fn states_are_a_table() {
        let view = View::States(vec![
            node("node_1", 1, "primary", 1),
            node("node_2", 2, "secondary", 0),
            node("a", 3, "init", -1),
        ]);
        let expected = "
  Name  | Node |   Host:Port   |   TLI: LSN   | Connection  | Reported State | Assigned State
--------+------+---------------+--------------+-------------+----------------+----------------
 node_1 | 1    | 10.0.0.1:5432 | 1: 0/3000148 | read-write  | primary        | primary
 node_2 | 2    | 10.0.0.1:5432 | 1: 0/3000148 | read-only ! | secondary      | secondary
 a      | 3    | 10.0.0.1:5432 | 1: 0/3000148 | none ?      | init           | init
";
        assert_eq!(format!("\n{}", render(&view)), expected);
    }

    #[test]
    fn events_of_a_group_name_the_group() {
        let event = Event {
            eventid: 1,
            eventtime: "2026-01-02 03:04:05".into(),
            formationid: "default".into(),
            nodeid: None,
            groupid: Some(0),
            nodename: None,
            reportedstate: None,
            goalstate: None,
            rule: Some("lone_node".into()),
            description: Some("alone".into()),
        };
        let expected = "
     Event Time      |  Node   | Current State | Assigned State | Comment
---------------------+---------+---------------+----------------+---------
 2026-01-02 03:04:05 | group 0 |               |                | alone
";
        assert_eq!(format!("\n{}", render(&View::Events(vec![event]))), expected);
    }

    #[test]
    fn nothing_to_list_is_a_header() {
        assert_eq!(
            render(&View::Uris(vec![])),
            " Type | Name | Connection String\n------+------+-------------------\n"
        );
    }
}
