//! The one executor: each action of the keeper's table, done by one function. All may be done twice.
pub mod accounts;
mod checkpoint;
mod child;
mod fence;
mod follow;
mod hand_over;
mod hba;
mod leave;
mod pledge;
mod promote;
mod rejoin;
mod restart;
mod room;
mod rule;
mod settings;
mod slots;
pub mod upstream_wal;
pub mod wal_end;

pub use checkpoint::Checkpointer;
pub use fence::put_up as put_up_fence;
pub use follow::cut_off;
pub use hand_over::Preparation;
pub use hba::{Names, Written as HbaWritten, ensure as admit};
pub use promote::switch_point;
pub use restart::as_writer as become_writer;
pub use room::InTheWay;
pub use rule::{Covering, put_in_force};
pub use settings::Settings;
pub use slots::SlotsMade;
pub use upstream_wal::UpstreamWal;

use crate::session::SqlError;
use crate::tick::Keeper;
use fsm::keeper::Action;
use fsm::message::Assignment;
use std::fmt;

/// SQLSTATE of a server that is starting up or shutting down.
const CANNOT_CONNECT_NOW: &str = "57P03";

/// How far an action came.
#[derive(Debug)]
pub enum Outcome {
    /// What it is for is so.
    Done,
    /// Not yet; what it waits for. It is looked at again in a few milliseconds.
    Soon(String),
    /// Not yet; what it waits for. The next tick looks again.
    Later(String),
    /// The server is going down for a restart in place: nothing more to do in this life.
    Restarting,
}

/// What went wrong, in a sentence.
#[derive(Debug)]
pub struct Trouble {
    /// The sentence.
    pub why: String,
    /// It goes away by itself: the server is starting up, or going down.
    pub passes: bool,
}

impl Trouble {
    /// Something that somebody may have to look at.
    pub fn new(why: impl Into<String>) -> Trouble {
        Trouble { why: why.into(), passes: false }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<SqlError> for Trouble {
    fn from(error: SqlError) -> Trouble {
        let why = format!("the own server refused a command of the keeper: {error}");
        let passes = match error {
            SqlError::Starting => true,
            SqlError::Refused { code, .. } => code == CANNOT_CONNECT_NOW,
            SqlError::Broken(_) | SqlError::Late(_) => false,
        };
        Trouble { why, passes }
    }
}

impl From<node_files::Error> for Trouble {
    fn from(error: node_files::Error) -> Trouble {
        Trouble::new(error.to_string())
    }
}

/// Wraps what the operating system said about a file.
pub fn io_trouble(doing: &str, error: std::io::Error) -> Trouble {
    Trouble::new(format!("could not {doing}: {error}"))
}

/// Does one action.
pub async fn run(action: Action, keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    match action {
        Action::PrepareHandOver => hand_over::prepare(keeper).await,
        Action::RaiseFence => fence::raise_action(keeper),
        Action::SayGoodbye => keeper.say_goodbye().await,
        Action::RestartAsStandby => restart::as_standby(keeper).await,
        Action::BecomeWriter => restart::as_writer(keeper).await,
        Action::EnsureAccounts => accounts::ensure(keeper).await,
        Action::EnsureSlots => slots::ensure_for_peers(keeper, &told.peers).await,
        Action::ApplyRule => rule::apply(keeper, told).await,
        Action::EnterUnleased => fence::enter_unleased(keeper, told),
        Action::EnterLeased => fence::enter_leased(keeper, told),
        Action::Pledge => pledge::pledge(keeper, told).await,
        Action::Promote => promote::promote(keeper, told).await,
        Action::Checkpoint => checkpoint::ask(keeper),
        Action::Rejoin => rejoin::rejoin(keeper, told).await,
        Action::FollowAsItIs => rejoin::follow_as_it_is(keeper, told).await,
        Action::FetchMissing => rejoin::fetch_missing(keeper, told).await,
        Action::CutOff => follow::cut_off(keeper).await,
        Action::LeaveGroup => leave::leave_group(keeper),
    }
}
