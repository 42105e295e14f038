//! Views as tables, in the manner of psql.
use crate::printer::plain;
use crate::view::{Event, Failover, Finding, NodeState, Uri, View};
use comfy_table::{Cell, CellAlignment, ContentLineStyle, LineStyle, Table, TableStyle};
use fsm::state::State;

const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction('|'))
    .header_separator(LineStyle::none().fill('-').junction('+'))
    .content_lines(ContentLineStyle::none().junction('|'));

/// The text for people.
pub fn render(view: &View) -> String {
    match view {
        View::States(nodes) => {
            let header =
                ["Name", "Node", "Host:Port", "TLI: LSN", "Connection", "Reported State", "Assigned State"];
            table(header, nodes.iter().map(state_row)) + &notes(nodes)
        }
        View::Events(events) => table(
            ["Event Time", "Node", "Current State", "Assigned State", "Comment"],
            events.iter().map(event_row),
        ),
        View::Failovers(failovers) => {
            let phases = ["Convicted", "Pledged", "Promoted", "First Write", "Total"];
            let header = ["Suspected", "Group", "Term", "Cause", "From", "To"].into_iter().chain(phases);
            table(header, failovers.iter().map(failover_row))
        }
        View::Uris(uris) => table(["Type", "Name", "Connection String"], uris.iter().map(uri_row)),
        View::Value(setting) => format!("{}\n", setting.value),
        View::Settings(settings) => {
            settings.iter().map(|setting| format!("{} = {}\n", setting.key, setting.value)).collect()
        }
        View::Findings(findings) if findings.is_empty() => "nothing is wrong\n".to_owned(),
        View::Findings(findings) => {
            let line = |finding: &Finding| {
                format!("{}: {}; {}\n", finding.about, plain(&finding.cause), plain(&finding.next))
            };
            findings.iter().map(line).collect()
        }
        View::Rows(rows) => table(rows.header.iter().copied(), rows.rows.iter().cloned()),
        View::Outcome { line, .. } => format!("{line}\n"),
        View::Nothing => String::new(),
    }
}

/// What groups and nodes wait for, below the table: a sentence has no room in a column.
fn notes(nodes: &[NodeState]) -> String {
    let mut told: Option<(&str, i32)> = None;
    let groups = nodes.iter().filter_map(|node| {
        let group = (node.formation.as_str(), node.group_id);
        (told.replace(group) != Some(group)).then(|| notes_of_group(node))
    });
    let groups: String = groups.collect();
    let notes = nodes.iter().filter_map(|node| {
        let note = node.note.as_ref()?;
        Some(format!("\n{}: {}", plain(&node.nodename), plain(note)))
    });
    let notes = groups + &notes.collect::<String>();
    if notes.is_empty() { notes } else { format!("{notes}\n") }
}

/// The same of the group of a node.
fn notes_of_group(node: &NodeState) -> String {
    let (formation, number) = (plain(&node.formation), node.group_id);
    let wait =
        node.group_waits_for.as_ref().zip(node.group_wait_ends_by.as_ref()).map(|(waits_for, ends_by)| {
            let (waits_for, ends_by) = (plain(waits_for), plain(ends_by));
            format!(
                "\ngroup {number} of formation {formation} waits for {waits_for}; what ends it: {ends_by}"
            )
        });
    let patience = node.group_patience.as_ref().map(|patience| {
        format!("\ngroup {number} of formation {formation} is patient after {}", plain(patience))
    });
    wait.into_iter().chain(patience).collect()
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
/// Where the probe fails nobody can do anything: the reported state is only the last that was heard.
fn connection(node: &NodeState) -> String {
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
    let what = if node.fenced == Some(true) && what == "read-write" { "read-only" } else { what };
    match node.health {
        1 => what.to_owned(),
        0 => "none !".to_owned(),
        _ => format!("{what} ?"),
    }
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
        event.eventtime.replacen('T', " ", 1),
        node,
        text(&event.reportedstate),
        text(&event.goalstate),
        text(&event.description),
    ]
}

/// Each phase by the time since the one before.
fn failover_row(failover: &Failover) -> [String; 11] {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let after = |ms: Option<f64>| ms.map(|ms| format!("+{ms:.0} ms")).unwrap_or_default();
    [
        failover.suspected.replacen('T', " ", 1),
        format!("{}/{}", failover.formationid, failover.groupid),
        failover.term.to_string(),
        failover.cause.clone(),
        name(&failover.old_primary),
        name(&failover.new_primary),
        after(Some(failover.convicted_ms)),
        after(failover.pledged_ms),
        after(failover.promoted_ms),
        after(failover.first_write_ms),
        failover.total_ms.map(|ms| format!("{ms:.0} ms")).unwrap_or_default(),
    ]
}

fn uri_row(uri: &Uri) -> [String; 3] {
    [uri.kind.clone(), uri.name.clone(), uri.uri.clone()]
}

/// No frame: it reads like psql's output, and `cut -d'|'` understands it.
fn table<H, R>(header: H, rows: impl Iterator<Item = R>) -> String
where
    H: IntoIterator<Item = &'static str>,
    R: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table.load_style(STYLE);
    let centred = |name| Cell::new(name).set_alignment(CellAlignment::Center);
    table.set_header(header.into_iter().map(centred).collect::<Vec<Cell>>());
    table.add_rows(rows.map(|row| row.into_iter().map(|cell| plain(&cell)).collect::<Vec<String>>()));
    // No blanks at the ends of lines.
    format!("{}\n", table.trim_fmt())
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
            candidate_priority: Some(100),
            replication_quorum: Some(true),
            reported_tli: 1,
            reported_lsn: "0/3000148".into(),
            health,
            nodecluster: Some("default".into()),
            note: None,
            group_waits_for: None,
            group_wait_ends_by: None,
            group_patience: None,
            fenced: None,
            source: None,
        }
    }

    #[test]
    fn states_are_a_table() {
        let view = View::States(vec![
            node("node_1", 1, "primary", 1),
            node("node_2", 2, "secondary", -1),
            node("a", 3, "init", -1),
            node("b", 4, "primary", 0),
        ]);
        let expected = "
  Name  | Node |   Host:Port   |   TLI: LSN   |  Connection | Reported State | Assigned State
--------+------+---------------+--------------+-------------+----------------+----------------
 node_1 | 1    | 10.0.0.1:5432 | 1: 0/3000148 | read-write  | primary        | primary
 node_2 | 2    | 10.0.0.1:5432 | 1: 0/3000148 | read-only ? | secondary      | secondary
 a      | 3    | 10.0.0.1:5432 | 1: 0/3000148 | none ?      | init           | init
 b      | 4    | 10.0.0.1:5432 | 1: 0/3000148 | none !      | primary        | primary
";
        assert_eq!(format!("\n{}", render(&view)), expected);
    }

    #[test]
    fn what_a_node_waits_for_stands_below_and_moves_no_cursor() {
        let mut waits = node("evil\u{1b}[2J", 2, "catchingup", 1);
        waits.note = Some("waits for\nWAL".into());
        let mut fenced = node("node_1", 1, "primary", 1);
        fenced.fenced = Some(true);
        let text = render(&View::States(vec![fenced, waits]));
        assert!(text.ends_with("\n\nevil\u{fffd}[2J: waits for\u{fffd}WAL\n"), "{text}");
        assert!(text.contains("| read-only  | primary"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn what_a_group_waits_for_is_said_once() {
        let waiting = |name, id| NodeState {
            group_waits_for: Some("node 1, which is away".into()),
            group_wait_ends_by: Some("its start".into()),
            ..node(name, id, "secondary", 1)
        };
        let text = render(&View::States(vec![waiting("node_2", 2), waiting("node_3", 3)]));
        let line = "group 0 of formation default waits for node 1, which is away; what ends it: its start";
        assert_eq!(text.matches(line).count(), 1, "{text}");
    }

    #[test]
    fn a_settled_group_says_that_it_is_patient() {
        let mut settled = node("node_1", 1, "primary", 1);
        settled.group_patience = Some("3 failovers: 16 s".into());
        let text = render(&View::States(vec![settled]));
        assert!(
            text.ends_with("\n\ngroup 0 of formation default is patient after 3 failovers: 16 s\n"),
            "{text}"
        );
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
            more: serde_json::Map::new(),
        };
        let expected = "
      Event Time     |   Node  | Current State | Assigned State | Comment
---------------------+---------+---------------+----------------+---------
 2026-01-02 03:04:05 | group 0 |               |                | alone
";
        assert_eq!(format!("\n{}", render(&View::Events(vec![event]))), expected);
    }

    #[test]
    fn a_failover_is_told_by_its_phases() {
        let failover = Failover {
            formationid: "default".into(),
            groupid: 0,
            term: 2,
            cause: "the primary is gone".into(),
            old_primary: Some("a".into()),
            new_primary: Some("b".into()),
            suspected: "2026-01-02T03:04:05.678+00:00".into(),
            convicted: "2026-01-02T03:04:05.9+00:00".into(),
            pledged: Some("2026-01-02T03:04:05.92+00:00".into()),
            promoted: None,
            first_write: None,
            convicted_ms: 222.0,
            pledged_ms: Some(20.4),
            promoted_ms: None,
            first_write_ms: None,
            total_ms: None,
        };
        let expected = "
           Suspected           |   Group   | Term |        Cause        | From | To | Convicted | Pledged | Promoted | First Write | Total
-------------------------------+-----------+------+---------------------+------+----+-----------+---------+----------+-------------+-------
 2026-01-02 03:04:05.678+00:00 | default/0 | 2    | the primary is gone | a    | b  | +222 ms   | +20 ms  |          |             |
";
        assert_eq!(format!("\n{}", render(&View::Failovers(vec![failover]))), expected);
    }

    #[test]
    fn nothing_to_list_is_a_header() {
        assert_eq!(
            render(&View::Uris(vec![])),
            " Type | Name | Connection String\n------+------+-------------------\n"
        );
    }
}
