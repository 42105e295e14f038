//! One tick, top to bottom: observe, report, hear, plan, act, remember.
mod passwords;
mod sessions;
mod stream;
mod supply;
mod unasked;

use crate::act::wal_end::WalEnd;
use crate::act::{self, Checkpointer, Names, Outcome, Settings, Trouble, UpstreamWal};
use crate::lease::Lease;
use crate::local::Local;
use crate::memory::Memory;
use crate::monitor_link::{Heard, LinkError, MonitorLink};
use crate::observe::{self, Facts};
use crate::own_door::OwnDoor;
use crate::report;
use crate::session::SqlError;
use crate::shared::view::{self, View};
use crate::shared::{clock, enrolled, fence, first_write, receiver};
use crate::worker::Beside;
use crate::{gucs, pg, promoted_by_hand};
use fsm::keeper::{Step, accepts, accepts_offer, obeys, plan};
use fsm::message::{Assignment, Peer};
use fsm::state::State;
use fsm::units::{Lsn, NodeId, RuleNumber, Term, Timeline};
use node_files::{Phase, StartAlone, boots};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// The term of a promotion that no term allowed: the monitor's terms begin with 1.
pub const UNRECORDED: Term = Term(0);

/// A receiver that is there for so long has found what it asked for.
const FED: Duration = Duration::from_secs(2);

/// SQLSTATE of a monitor that does not know the node that reports.
const UNKNOWN_NODE: &str = "42704";

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// A state was reached: tell it.
    Now,
    /// Something takes a few milliseconds.
    Soon,
    /// At the next heartbeat.
    Later,
}

/// The keeper: what it knows, what it was told, and its connections.
pub struct Keeper {
    /// Durable.
    pub memory: Memory,
    /// Of this tick.
    pub facts: Facts,
    /// To the own server.
    pub local: Local,
    /// What of the own configuration we changed.
    pub settings: Settings,
    /// Shared with the timer that keeps it.
    pub lease: Rc<Lease>,
    /// Shared with the future that serves it.
    pub checkpointer: Rc<Checkpointer>,
    /// What the names of peers stand for; shared with the future that asks.
    names: Rc<Names>,
    /// What the upstream still has; shared with the future that asks.
    pub upstream_wal: Rc<UpstreamWal>,
    /// Whether the own server lets anybody in; shared with the future that knocks.
    own_door: Rc<OwnDoor>,
    /// The end of WAL, while it is being looked for.
    pub wal_end: WalEnd,
    /// The end of WAL after the pledge.
    pub pledged_end: Option<(Lsn, Timeline)>,
    /// When it pledged, or this life began.
    pub pledged_at: Instant,
    /// A rule on its way.
    pub covering: Option<act::Covering>,
    /// When the processes of the server were last asked to read the rule.
    pub reminded: Option<Instant>,
    /// Until when the newest grant runs, on CLOCK_BOOTTIME.
    pub granted_until: Option<u64>,
    /// A hand-over that is being prepared.
    pub preparation: Option<act::Preparation>,
    /// The slots as made in this life.
    pub slots: Option<act::SlotsMade>,
    /// Why a copy could not be made when that was last looked at.
    pub in_the_way: Option<act::InTheWay>,
    /// The accounts are there.
    pub accounts_made: bool,
    /// This life ends by our own request.
    pub restarting: bool,
    /// The monitor has dropped this node, and no rule needs it any more.
    pub let_go: bool,
    monitor: MonitorLink,
    monitor_setting: Option<String>,
    told: Option<Assignment>,
    accepts: Option<RuleNumber>,
    admitted: Option<act::HbaWritten>,
    checkpoint_timeline: Timeline,
    began_as_standby: bool,
    started: Instant,
    last_contact: u64,
    note: Option<String>,
    waits: Option<String>,
    stream: stream::Stream,
    hunger: Option<supply::Hunger>,
    /// Something was kept that the monitor waits to hear of.
    pub news: bool,
}

impl Keeper {
    /// Takes up the node's memory in whatever life of the server this is.
    pub fn take_up(mut memory: Memory, beside: Beside) -> Result<Keeper, Trouble> {
        let facts = observe::look(Timeline(0));
        finish_copy(&mut memory)?;
        let new_life = matches!(fence::state(), fence::Fence::Lapsed);
        disown_promotion(&mut memory, &facts)?;
        let role = memory.role;
        if role.writes() && (facts.in_recovery || new_life) {
            memory.assume_role(State::Demoted);
        }
        if facts.in_recovery && matches!(role, State::Draining | State::PreparePromotion) {
            memory.assume_role(State::Demoted);
        }
        if memory.role == State::Primary {
            beside.lease.hold(Some(&memory.rule));
        }
        Ok(Keeper {
            memory,
            facts,
            local: Local::default(),
            settings: Settings::default(),
            lease: beside.lease,
            checkpointer: beside.checkpointer,
            names: beside.names,
            upstream_wal: beside.upstream_wal,
            own_door: beside.own_door,
            wal_end: WalEnd::default(),
            pledged_end: None,
            pledged_at: Instant::now(),
            covering: None,
            reminded: None,
            granted_until: None,
            preparation: None,
            slots: None,
            in_the_way: None,
            accounts_made: false,
            restarting: false,
            let_go: false,
            monitor: MonitorLink::new(),
            monitor_setting: gucs::monitor(),
            told: None,
            accepts: None,
            admitted: None,
            checkpoint_timeline: Timeline(0),
            began_as_standby: false,
            started: Instant::now(),
            last_contact: 0,
            note: None,
            waits: None,
            stream: stream::Stream::default(),
            hunger: None,
            news: false,
        })
    }

    /// One tick.
    pub async fn tick(&mut self) -> Again {
        let was_in_recovery = self.facts.in_recovery;
        self.facts = observe::look(self.checkpoint_timeline);
        self.facts.receiver = self.stream.judge(&self.facts);
        if was_in_recovery && !self.facts.in_recovery {
            fence::count_from_now();
        }
        let mut trouble = self.yield_to_what_is().err();
        if let Err(error) = self.look_at_checkpoint().await {
            trouble = trouble.or(Some(error));
        }
        let report = self.report();
        let heard = self.monitor.tell(&report, self.memory.dir()).await;
        let outcome = match heard {
            Ok(heard) => {
                if report.first_write.is_some() {
                    first_write::told();
                }
                self.hear(heard).err()
            }
            Err(LinkError::Pausing) => self.note.clone().map(Trouble::new),
            // The answer that said so was lost on its way.
            Err(LinkError::Sql(SqlError::Refused { code, .. }))
                if code == UNKNOWN_NODE && self.memory.goal == State::Dropped =>
            {
                self.let_go = true;
                None
            }
            Err(error) => Some(Trouble::new(self.unanswered(&error))),
        };
        trouble = outcome.or(trouble);
        let again = match self.act().await {
            Ok(again) => again,
            Err(error) if error.passes => Again::Soon,
            Err(error) => {
                trouble = Some(error);
                Again::Later
            }
        };
        // After the actions, none of which may be kept waiting by a file that cannot be read or written.
        if let Err(error) = self.admit_peers() {
            trouble = trouble.or(Some(error));
        }
        if let Err(error) = self.put_password_in_force().await {
            trouble = trouble.or(Some(error));
        }
        if let Err(error) = self.quieten_receiver(again).await {
            trouble = trouble.or(Some(error));
        }
        if let Err(error) = self.end_sessions().await {
            trouble = trouble.or(Some(error));
        }
        if let Err(error) = self.check_supply().await {
            trouble = trouble.or(Some(error));
        }
        // Ahead of need: on the path of a failover the connection has to be there.
        if let Err(error) = self.local.warm().await {
            trouble = trouble.or_else(|| Some(error.into()));
        }
        if let Some(Trouble { why, .. }) = trouble.filter(|trouble| !trouble.passes) {
            self.say(Some(why));
        } else if self.waits.is_some() {
            self.say(self.waits.clone());
        } else if again != Again::Soon && !self.is_waiting() {
            self.say(None);
        }
        self.publish();
        if std::mem::take(&mut self.news) { Again::Now } else { again }
    }

    /// The monitor calls, or the connection to it ends.
    pub async fn called(&mut self) {
        self.monitor.called().await;
    }

    /// When an attempt to reach the monitor is due, while there is no connection.
    pub fn next_attempt(&self) -> Option<Instant> {
        self.monitor.next_attempt()
    }

    /// The other nodes of the group, as far as the monitor has named them.
    pub fn peers(&self) -> BTreeSet<NodeId> {
        self.told.iter().flat_map(|told| &told.peers).map(|peer| peer.node).collect()
    }

    /// The settings may have changed.
    pub fn reloaded(&mut self) {
        self.settings.forget();
        self.admitted = None;
        let monitor = gucs::monitor();
        if self.monitor_setting != monitor {
            self.monitor_setting = monitor;
            self.monitor.reconnect();
        }
    }

    async fn look_at_checkpoint(&mut self) -> Result<(), Trouble> {
        if self.facts.in_recovery || self.checkpoint_timeline == self.facts.timeline {
            return Ok(());
        }
        let row = self
            .local
            .ask(async |client| {
                client.query_one("SELECT timeline_id FROM pg_control_checkpoint()", &[]).await
            })
            .await?;
        self.checkpoint_timeline = Timeline(row.get::<_, i32>(0).cast_unsigned());
        self.facts.checkpoint_timeline = self.checkpoint_timeline;
        Ok(())
    }

    fn report(&self) -> fsm::message::Report {
        let mut report = report::of(&self.memory, &self.facts, self.pledged_end);
        report.accepts = self.accepts;
        report.named.extend(self.peers());
        report.stuck = self.own_door.is_stuck();
        report.note.clone_from(&self.note);
        report
    }

    /// Takes in an assignment. What it asks for is remembered before anything is done about it.
    fn hear(&mut self, heard: Heard) -> Result<(), Trouble> {
        let Heard { assignment: told, sent_at } = heard;
        if told.node != self.memory.node {
            return Err(Trouble::new(format!(
                "the monitor answers for node {}, and this is node {}",
                told.node, self.memory.node
            )));
        }
        if !obeys(self.memory.monitor_epoch, &told) {
            return Err(Trouble::new(
                "the monitor that answers is not the one that this node belongs to; to have the node obey it: pg_autoctl config set \
                 pg_autoctl.monitor",
            ));
        }
        if told.incomplete {
            // No assignment, and no contact: as if it were away.
            return Err(Trouble::new(
                "the monitor may know less than its nodes and waits for some of them; until then this node goes on as it is",
            ));
        }
        if !accepts(self.memory.term, &told) {
            return Err(Trouble::new(format!(
                "the monitor speaks of term {}, and this node has heard of term {} already; ignored",
                told.term, self.memory.term
            )));
        }
        // Only an answer that counts: any other must not stand in for the contact with the members.
        self.lease.heard(sent_at);
        self.last_contact = clock::boottime_ns();
        if self.told.is_none() {
            // Whoever it was given for is not alone.
            StartAlone::withdraw(self.memory.dir())?;
        }
        let before = self.memory.goal;
        // Nobody is named beside a node that is gone, and it goes after it has said that it leaves.
        let (dropped, left) = (told.goal == State::Dropped, self.memory.role == State::Dropped);
        self.let_go = dropped && left && told.peers.is_empty();
        self.memory.keep(|state| {
            if told.epoch > 0 {
                state.monitor_epoch = told.epoch;
            }
            state.term = told.term;
            state.goal = told.goal;
            state.system_identifier = pg::system_identifier();
        })?;
        self.count_on(told.count_on_from)?;
        if before != told.goal {
            pg::log(&format!("assigned {} in term {} (now {})", told.goal, told.term, self.memory.role));
        }
        let leased = told.goal == State::Primary && !self.facts.stopping;
        self.granted_until = told.lease.filter(|_| leased).map(|lease| self.lease.until(sent_at, lease));
        // A change of rule may take its time; the lease of a writer that goes on writing must not wait for it.
        if let Some(until) = self.granted_until
            && self.memory.role == State::Primary
        {
            fence::extend_lease(until);
        }
        // The next hand-over is prepared anew.
        self.preparation = self.preparation.filter(|_| told.goal == State::Draining);
        self.accepts = told.offer.filter(|_| accepts_offer(&self.memory.rule, &self.facts.followers));
        // Last: what goes wrong here must not keep the goal from being known.
        let kept = self.keep_passwords(&told);
        self.told = Some(told);
        kept
    }

    /// Another copy of this node has counted that many starts, and this one runs on an older disk: its starts count on from
    /// there, so that no third copy can be taken for it.
    fn count_on(&mut self, from: Option<u64>) -> Result<(), Trouble> {
        let Some(from) = from.filter(|from| enrolled::boot() <= *from) else { return Ok(()) };
        pg::log("this server runs on a disk of an earlier time: it is no candidate until it has caught up");
        boots::count_on(self.memory.dir(), &pg::data_dir(), from + 1)?;
        enrolled::count_as(from + 1);
        self.news = true;
        Ok(())
    }

    async fn act(&mut self) -> Result<Again, Trouble> {
        self.waits = None;
        if self.restarting {
            return Ok(Again::Later);
        }
        if self.facts.starting {
            self.waits = Some("the server replays its WAL before it writes".to_owned());
            return Ok(Again::Soon);
        }
        let Some(told) = self.told.clone() else { return self.act_alone().await };
        let actions = match plan(self.memory.role, told.goal) {
            Step::Go { actions, why: _ } => actions,
            Step::NoWay { from, to } => {
                return Err(Trouble::new(format!(
                    "there is no way from {from} to {to}; this keeper may be older than its monitor"
                )));
            }
        };
        for action in actions {
            match act::run(*action, self, &told).await? {
                Outcome::Done => {}
                Outcome::Soon(why) => {
                    self.waits = Some(why);
                    return Ok(Again::Soon);
                }
                Outcome::Later(why) => {
                    self.waits = Some(why);
                    return Ok(Again::Later);
                }
                Outcome::Restarting => return Ok(Again::Later),
            }
        }
        if self.memory.role == told.goal {
            return Ok(self.accepts.map_or(Again::Later, |_| Again::Soon));
        }
        self.memory.keep(|state| state.role = told.goal)?;
        pg::log(&format!("reached {} in term {}", told.goal, told.term));
        Ok(Again::Now)
    }

    fn admit_peers(&mut self) -> Result<(), Trouble> {
        let Some(told) = self.told.as_ref() else { return Ok(()) };
        let follows = |peer: &&Peer| self.facts.followers.contains(&peer.node);
        let missing = told.peers.iter().filter(|peer| self.memory.role.writes() && !follows(peer));
        let missing: Vec<&str> = missing.map(|peer| peer.host.as_str()).collect();
        act::admit(&self.names, &told.peers, &missing, &mut self.admitted)
    }

    fn publish(&self) {
        let view = View {
            node: self.memory.node,
            state: self.memory.role,
            goal: self.memory.goal,
            term: self.memory.term,
            last_contact_ns: self.last_contact,
            ..View::default()
        };
        let primary =
            self.told.as_ref().and_then(|told| told.upstream.as_ref()).map(|upstream| &upstream.peer);
        view::publish(&view.with_error(self.note.as_deref()).with_primary(primary));
    }

    fn is_waiting(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.goal != self.memory.role)
    }

    /// Keeps the note for the next report, and logs it once.
    fn say(&mut self, note: Option<String>) {
        if note != self.note {
            if let Some(text) = &note {
                pg::log(text);
            }
            self.note = note;
        }
    }
}

/// The WAL of a standby that was promoted without us is nobody's history, however much of it there is (law 9).
fn disown_promotion(memory: &mut Memory, facts: &Facts) -> Result<(), Trouble> {
    // What a receiver of this life has brought, the gate has let through: it is that of an upstream which was elected again.
    if !facts.in_recovery || receiver::streamed_in_this_life() {
        return Ok(());
    }
    let Some(made) = promoted_by_hand::find(&pg::data_dir(), memory) else { return Ok(()) };
    pg::log(&format!(
        "this node was promoted by somebody else, to timeline {}, while pg_autoctl was not loaded; it is a standby and follows nobody \
         until the monitor has decided",
        made.timeline
    ));
    memory.keep(|state| {
        (state.role, state.promotion, state.upstream) = (State::Demoted, Some(made), None);
    })
}

/// A copy that the last life asked for is whole when its marker is gone: from then on the node's WAL is its upstream's.
fn finish_copy(memory: &mut Memory) -> Result<(), Trouble> {
    if let Some(phase) = Phase::read(memory.dir())? {
        if phase.step == node_files::Step::Copying {
            return Err(Trouble::new(
                "PGDATA is not whole: a copy of it was begun and not finished; restart the server",
            ));
        }
        // A crash cycle came before the shutdown that was asked for. Left standing, the marker would have a later start
        // copy over whatever this node has written by then. In this order, or the copy would be taken for made.
        memory.keep(|state| state.upstream = None)?;
        Phase::clear(memory.dir())?;
        return Ok(());
    }
    let Some(upstream) = memory.upstream.clone() else { return Ok(()) };
    memory.keep(|state| {
        state.history = upstream.term;
        state.promotion = None;
    })
}
