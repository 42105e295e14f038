//! Arguments of SQL functions on their way to values: whatever comes in is hostile until it is parsed here.
use crate::board::{self, MAX_NODES};
use crate::error::Error;
use fsm::message::{Report, VERSION};
use fsm::rule::Rule;
use fsm::state::State;
use fsm::units::NodeId;

/// Above it nothing is believed that only counts upwards: there must always be a next one.
const LARGEST_NUMBER: u64 = 1 << 50;
/// The same of what becomes a group's own first number, or an id: a hostile one must not use up those that follow.
const LARGEST_TAKEN_OVER: u64 = 1 << 40;
/// In bytes, of the names of formations, nodes and clusters: PostgreSQL's own limit for names.
const LONGEST_NAME: usize = 63;
/// In bytes, of a keeper's note; the rest of a longer one is cut off.
const LONGEST_NOTE: usize = 1_000;

/// An argument that must not be NULL.
pub fn given<T>(value: Option<T>, name: &'static str) -> Result<T, Error> {
    value.ok_or(Error::Null(name))
}

/// A TCP port.
pub fn port(port: i32) -> Result<u16, Error> {
    u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| bad(format!("{port} is not a TCP port"), "Ports are 1 to 65535."))
}

/// A candidate priority.
pub fn priority(priority: i32) -> Result<u8, Error> {
    u8::try_from(priority).ok().filter(|priority| *priority <= 100).ok_or_else(|| {
        bad(format!("{priority} is not a candidate priority"), "Priorities are 0 (never promoted) to 100.")
    })
}

/// How many standbys a commit waits for.
pub fn number_sync_standbys(number: i32) -> Result<u32, Error> {
    u32::try_from(number).ok().filter(|number| (*number as usize) < MAX_NODES).ok_or_else(|| {
        bad(format!("{number} is not a number of standbys"), "Give 0 or more, and fewer than the group has.")
    })
}

/// The number of a group in its formation.
pub fn group_number(number: i32) -> Result<i32, Error> {
    if number >= 0 {
        return Ok(number);
    }
    Err(bad(format!("{number} is not the number of a group"), "Groups are numbered from 0."))
}

/// The id of a node.
pub fn node_id(id: i64) -> Result<NodeId, Error> {
    if id > 0 && id.cast_unsigned() <= LARGEST_NUMBER {
        return Ok(NodeId(id));
    }
    Err(bad(format!("{id} is not a node id"), "Node ids are positive; pg_autoctl show state lists them."))
}

/// Every node of the group writes the host into its pg_hba.conf, so it must not hold anything that has a meaning there.
pub fn host(host: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:%-".contains(&byte);
    if board::fits(host) && !host.starts_with('.') && host.bytes().all(plain) {
        return Ok(host);
    }
    Err(bad(
        format!("{:?} is neither a host name nor an address", beginning(host)),
        "Give the name or the address, of at most 255 bytes, at which the other nodes reach this one.",
    ))
}

/// The name of a node, or of the cluster (the data centre) that it stands in. Names are printed into logs, events and terminals.
pub fn name(name: &str) -> Result<&str, Error> {
    if is_plain(name) {
        return Ok(name);
    }
    Err(bad(
        format!("{:?} is not a node name", beginning(name)),
        "Names have at most 63 bytes and no control characters.",
    ))
}

/// The name of a node, when it is given one.
pub fn label(label: &str) -> Result<&str, Error> {
    if label.is_empty() {
        return Err(bad("a node's name is not empty".into(), "Give a name, or NULL to keep the one it has."));
    }
    name(label)
}

/// The name of a formation that is to be made.
pub fn formation_name(name: &str) -> Result<&str, Error> {
    if is_plain(name) && !name.is_empty() && name.trim() == name {
        return Ok(name);
    }
    Err(bad(
        format!("{:?} is not a name for a formation", beginning(name)),
        "Names have 1 to 63 bytes, no control characters, and no space at either end.",
    ))
}

/// The name of a database.
pub fn database(name: &str) -> Result<&str, Error> {
    if is_plain(name) && !name.is_empty() {
        return Ok(name);
    }
    Err(bad(
        format!("{:?} is not the name of a database", beginning(name)),
        "Names have 1 to 63 bytes and no control characters.",
    ))
}

fn is_plain(name: &str) -> bool {
    name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
}

/// As much of a text as an error message has room for.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(255)]
}

fn bad(message: String, hint: &'static str) -> Error {
    Error::BadArgument { message, hint }
}

/// A state, by its name.
pub fn state(name: &str) -> Result<State, Error> {
    State::parse(name).ok_or_else(|| Error::UnknownState(name.to_owned()))
}

/// What a tool says of a node's replication: a word such as `sync`.
pub fn rep_state(text: &str) -> Result<&str, Error> {
    if text.len() <= LONGEST_NAME && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    Err(bad(
        format!("\"{}\" is not a state of replication", beginning(text).escape_debug()),
        "It has at most 63 bytes and no control characters.",
    ))
}

/// An id that somebody wishes for. Far below the largest, so that ids to be given by itself are left.
pub fn desired_id(id: i64) -> Result<NodeId, Error> {
    let wished = node_id(id)?;
    if id.cast_unsigned() <= LARGEST_TAKEN_OVER {
        return Ok(wished);
    }
    Err(bad(format!("{id} is too large for a node id"), "The ids that monitors give begin at 1."))
}

/// Whether the numbers of a group that comes from another monitor leave room for those that follow.
pub fn room_after(report: &Report, rule: &Rule) -> Result<(), Error> {
    let members = rule.members.union(&report.named).map(|id| id.0.cast_unsigned());
    let numbers = [report.term.0, report.pledge.0, report.history.0, rule.number.0];
    if numbers.iter().copied().chain(members).all(|number| number <= LARGEST_TAKEN_OVER) {
        return Ok(());
    }
    Err(Error::BadReport("one of its numbers is too large to be true".into()))
}

/// A keeper's report.
pub fn report(text: &str) -> Result<Report, Error> {
    let mut report: Report = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    if report.version != VERSION {
        let theirs = report.version;
        return Err(Error::BadReport(format!("it is of version {theirs}, and this is {VERSION}")));
    }
    let promotion = report.promotion.as_ref();
    let timelines =
        [Some(report.timeline), Some(report.checkpoint_timeline), promotion.map(|made| made.timeline)];
    let numbers = [
        report.term.0,
        report.pledge.0,
        report.history.0,
        promotion.map_or(0, |made| made.term.0),
        report.rule.0,
        report.accepts.map_or(0, |number| number.0),
        report.first_write.map_or(0, |first| first.term.0.max(first.ago.0)),
        report.boot,
        report.passwords.replication.0,
        report.passwords.monitor.0,
    ];
    let timelines_fit = timelines.iter().flatten().all(|timeline| i32::try_from(timeline.0).is_ok());
    if !timelines_fit
        || numbers.iter().any(|number| *number > LARGEST_NUMBER)
        || [report.life, report.epoch].iter().any(|number| i64::try_from(*number).is_err())
    {
        return Err(Error::BadReport("one of its numbers is too large to be true".into()));
    }
    if report.followers.len() > MAX_NODES || report.named.len() > MAX_NODES {
        return Err(Error::BadReport("it names more nodes than there can be".into()));
    }
    let named = report.named.iter().all(|id| node_id(id.0).is_ok());
    if !named || report.in_force.as_ref().is_some_and(|rule| !is_possible(rule)) {
        return Err(Error::BadReport("it tells of nodes or of a rule that no monitor makes".into()));
    }
    report.note = report.note.map(|note| {
        let plain: String = note.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        plain[..plain.floor_char_boundary(LONGEST_NOTE)].to_owned()
    });
    Ok(report)
}

/// The rule in force on a node.
pub fn rule(text: &str) -> Result<Rule, Error> {
    let rule: Rule = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    if is_possible(&rule) {
        return Ok(rule);
    }
    Err(bad(
        format!("rule {} is not one that a monitor makes", rule.number),
        "Give the node's own report, and the rule in force on it.",
    ))
}

fn is_possible(rule: &Rule) -> bool {
    let whole = rule.wait_for as usize <= rule.members.len() && rule.is_empty() == rule.members.is_empty();
    let known = rule.members.len() < MAX_NODES && rule.members.iter().all(|id| node_id(id.0).is_ok());
    whole && known && rule.number.0 <= LARGEST_NUMBER
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::BadReport(beginning(&error.to_string()).to_owned())
}
