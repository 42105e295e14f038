//! What happens to a node without the monitor's word: it is shut down, promoted by hand, or started while nobody answers.
use super::{Again, Keeper, UNRECORDED};
use crate::act::{self, Outcome, Trouble};
use crate::monitor_link::LinkError;
use crate::shared::fence;
use crate::{gucs, observe, pg};
use fsm::message::Promotion;
use fsm::rule::Rule;
use fsm::state::State;
use node_files::StartAlone;
use std::time::Duration;

/// How long a goodbye may hold up a shutdown.
const GOODBYE_LIMIT: Duration = Duration::from_millis(500);
/// A monitor that was not heard for this long after the start counts as unreachable.
const MONITOR_MISSING: Duration = Duration::from_secs(5);

impl Keeper {
    /// The server goes down by somebody's wish: a writer raises its fence first and says goodbye then.
    pub async fn shut_down(&mut self) {
        self.facts = observe::look(self.checkpoint_timeline);
        // Without the postmaster's word this is only the worker that ends, and the next one goes on.
        if self.restarting || !self.facts.stopping || self.facts.in_recovery {
            return;
        }
        self.lower_into_shutdown();
        let report = self.report();
        // Nobody to tell is no reason to stay; the monitor sees the session end.
        let told = tokio::time::timeout(GOODBYE_LIMIT, self.monitor.tell(&report, self.memory.dir())).await;
        if !matches!(told, Ok(Ok(_))) {
            pg::log("shutting down without having reached the monitor");
        }
    }

    /// Tells the monitor at once that the fence is up and the server is going down.
    pub async fn say_goodbye(&mut self) -> Result<Outcome, Trouble> {
        if self.facts.in_recovery {
            return Ok(Outcome::Done);
        }
        let mut goodbye = self.report();
        goodbye.leaving = true;
        goodbye.fenced = fence::is_up();
        // The monitor has asked for this shutdown: it goes on without hearing of it.
        match tokio::time::timeout(GOODBYE_LIMIT, self.monitor.tell(&goodbye, self.memory.dir())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => pg::log(&error.to_string()),
            Err(_) => pg::log("the monitor did not answer the goodbye"),
        }
        Ok(Outcome::Done)
    }

    /// What the server does by somebody else's hand changes the role, never the fence.
    pub(super) fn yield_to_what_is(&mut self) -> Result<(), Trouble> {
        if self.facts.stopping && !self.facts.in_recovery {
            self.lower_into_shutdown();
        }
        self.began_as_standby |= self.facts.in_recovery && !self.facts.starting;
        let standing_by = matches!(
            self.memory.role,
            State::CatchingUp
                | State::Secondary
                | State::WaitStandby
                | State::JoinSecondary
                | State::FastForward
                | State::ReportLsn
                | State::WaitMaintenance
                | State::Maintenance
        );
        let promotes = self.memory.goal == State::PreparePromotion && self.memory.pledge == self.memory.term;
        let demoted = self.began_as_standby && matches!(self.memory.role, State::Demoted | State::Draining);
        let known = self.memory.promotion.is_some_and(|promotion| promotion.term == UNRECORDED);
        if !self.facts.in_recovery && !promotes && !known && (standing_by || demoted) {
            pg::log(
                "the server was promoted by somebody else; it stays fenced until the monitor has decided",
            );
            // Its WAL is nobody's history from here on, and must not be taken for anybody's (law 9).
            let (switch_lsn, timeline) = (self.facts.end.unwrap_or_default(), self.facts.timeline);
            self.memory.keep(|state| {
                state.role = State::Demoted;
                state.promotion = Some(Promotion { term: UNRECORDED, timeline, switch_lsn });
                state.upstream = None;
            })?;
        }
        Ok(())
    }

    /// What a node that was the writer says while nobody tells it whether it still is.
    pub(super) fn unanswered(&self, why: &LinkError) -> String {
        if self.told.is_some() || !self.memory.goal.writes() || self.memory.role.writes() {
            return why.to_string();
        }
        format!("waits for the monitor (or pg_autoctl perform start-without-monitor) before it writes: {why}")
    }

    /// The durable word on unleased states stays: nobody is elected from one, so it is as true after the stop.
    fn lower_into_shutdown(&mut self) {
        act::put_up_fence(&self.lease);
        self.facts.fenced = true;
    }

    /// Nobody was heard yet in this life. The operator may have decided what follows from that (law 5): by a setting, for a node that
    /// wrote alone, so that nobody else was promoted; or by his word for this once, for whoever wrote last.
    pub(super) async fn act_alone(&mut self) -> Result<Again, Trouble> {
        // A life that began as a writer has waited in the one before.
        let waited = !self.facts.in_recovery && !self.began_as_standby;
        let missing = waited || self.started.elapsed() >= MONITOR_MISSING;
        if !missing || self.facts.stopping || self.memory.role.unleased() || !self.memory.goal.writes() {
            return Ok(Again::Later);
        }
        let told_to = StartAlone::stands(self.memory.dir(), &self.memory.identity)?;
        let by_setting = self.memory.unleased && gucs::start_without_monitor();
        if !told_to && !by_setting {
            return Ok(Again::Later);
        }
        if self.facts.in_recovery {
            let why = if told_to { "an operator's word" } else { "pg_autoctl.start_without_monitor" };
            pg::log(&format!("the monitor cannot be reached; becoming the writer by {why}"));
        }
        if !matches!(act::become_writer(self).await?, Outcome::Done) {
            return Ok(Again::Later);
        }
        let goal = self.memory.goal;
        let role = if goal.unleased() { goal } else { State::WaitPrimary };
        if !matches!(act::put_in_force(self, &Rule::default(), role).await?, Outcome::Done) {
            return Ok(Again::Soon);
        }
        self.memory.keep(|state| (state.role, state.unleased) = (role, true))?;
        // First: a word that outlived a crash would be obeyed once more, when a monitor may have decided otherwise meanwhile.
        StartAlone::withdraw(self.memory.dir())?;
        fence::open_unleased();
        Ok(Again::Later)
    }
}
