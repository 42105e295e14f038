//! Refusals on their way from the call that was refused to the event that tells of it.
use crate::board::fixed::Fixed;
use crate::board::refusals::{Due, Refusal};
use crate::error::Error;
use crate::store::event::Event;
use crate::store::group;
use crate::transaction::Kept;
use crate::{pg, tell};
use fsm::units::NodeId;
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a call is about, for the event that its refusal becomes.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct About<'a> {
    /// The function.
    pub what: &'a str,
    /// The formation that it names.
    pub formation: Option<&'a str>,
    /// The group that it names.
    pub group: Option<i32>,
    /// The node that it names.
    pub node: Option<NodeId>,
    /// The address that it names.
    pub address: Option<(&'a str, i32)>,
    /// A program calls it again and again: refusals after the first are only counted.
    pub repeats: bool,
}

impl<'a> About<'a> {
    /// A call of which nothing but its name is known.
    pub fn call(what: &'a str) -> About<'a> {
        About { what, ..About::default() }
    }

    /// A call about a group.
    pub fn group(what: &'a str, formation: &'a str, group: i32) -> About<'a> {
        About { formation: Some(formation), group: Some(group), ..About::call(what) }
    }

    /// A call that a keeper or a tool makes all the time.
    pub fn heartbeat(what: &'a str, node: Option<NodeId>) -> About<'a> {
        About { what, node, repeats: true, ..About::default() }
    }
}

/// Notes that a call was refused. What cannot be noted is not worth another error: the caller hears of it anyhow.
pub fn note(about: &About, error: &Error) {
    // A new node asks again by itself while the group cannot take it.
    let repeats = about.repeats || matches!(error, Error::CannotRegister(_));
    let (sqlstate, message) = (error.sqlstate(), error.message());
    let mut text = about.what.to_owned();
    if let Some((host, port)) = about.address {
        text = format!("{text} ({host}:{port})");
    }
    let text = format!("{text} refused to \"{}\" (SQLSTATE {sqlstate}): {message}", pg::session_user());
    let kind = repeats.then(|| {
        let mut hasher = DefaultHasher::new();
        (about, &sqlstate).hash(&mut hasher);
        hasher.finish()
    });
    let refusal = Refusal {
        text: Fixed::new(&text),
        formation: about.formation.map(Fixed::new),
        group: about.group,
        node: about.node,
        kind,
    };
    let now = pg::now();
    if pg::board(|board| board.refusals.note(refusal, now)).is_ok() {
        pg::ring();
    }
}

/// What was said in this transaction, to be struck from the board when it commits.
pub struct Told {
    due: Vec<Due>,
    unnoted: u32,
}

thread_local! {
    /// What is told when the transaction has committed.
    pub static TOLD: RefCell<Kept<Told>> = const { RefCell::new(Kept::new()) };
}

/// Makes events of what is noted.
pub fn tell_all() -> Result<(), Error> {
    // Two at a time would tell each of them twice.
    pg::lock_group(group::table()?, 0);
    let now = pg::now();
    let (due, unnoted) = pg::board(|board| board.refusals.due(now))?;
    for one in &due {
        tell_one(one)?;
    }
    if unnoted > 0 {
        let text =
            format!("{unnoted} refused calls were not recorded one by one: there were too many at once");
        say(None, None, &text)?;
    }
    if !due.is_empty() || unnoted > 0 {
        TOLD.with_borrow_mut(|told| told.push(Told { due, unnoted }));
    }
    Ok(())
}

fn tell_one(due: &Due) -> Result<(), Error> {
    let mut text = due.refusal.text.get();
    if let Some((count, time)) = due.again {
        text = format!("{text}; {count} times more in {} s", time.0 / 1_000);
    }
    if let Some(id) = due.refusal.node {
        match group::of_node(id).and_then(group::load) {
            Ok(stored) => {
                let member = stored.members.iter().find(|member| member.id == id);
                let node = member.map(|member| member.node(None, pg::now()));
                let event = Event {
                    formation: Some(&stored.formation),
                    group: Some(stored.number),
                    node: member.zip(node.as_ref()),
                    description: &text,
                    rule: None,
                    facts: None,
                };
                return tell::say(&event).map(drop);
            }
            Err(Error::UnknownNode(_) | Error::UnknownGroup(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let formation = due.refusal.formation.map(|formation| formation.get());
    say(formation.as_deref(), due.refusal.group, &text)
}

fn say(formation: Option<&str>, group: Option<i32>, text: &str) -> Result<(), Error> {
    tell::say(&Event { formation, group, node: None, description: text, rule: None, facts: None }).map(drop)
}

/// The transaction has committed, and still holds its locks.
pub fn at_commit() {
    let now = pg::now();
    for told in TOLD.with_borrow_mut(Kept::take) {
        // Without a board nothing was told.
        let _ = pg::board(|board| board.refusals.told(&told.due, told.unnoted, now));
    }
}
