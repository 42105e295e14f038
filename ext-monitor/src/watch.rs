//! What the worker watches: every server by a probe, every session by the board, every clock that may run out. It
//! decides nothing: it says over its own connection that a group is to be evaluated.
use crate::board::Target;
use crate::probe::probe;
use crate::{gucs, pg};
use fsm::group::Probe;
use fsm::monitor::timing::OVERDUE;
use fsm::units::NodeId;
use local::Local;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

mod local;

/// How often a group is evaluated in which something is under way.
const RESTLESS: Duration = Duration::from_millis(250);
/// A server whose processes are being killed may answer for a few milliseconds more.
const LOOK_AGAIN: u8 = 3;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);
/// How often the board is compared with the tables, for what neither commits nor reports tell.
const WAKE_UP: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3_600);
/// Events are deleted few at a time, and groups are looked at in between.
const PRUNED_AT_ONCE: i64 = 1_000;
const BETWEEN_PRUNINGS: Duration = Duration::from_millis(50);
const RETRY_PRUNING: Duration = Duration::from_secs(10);

/// One server under watch.
struct Watched {
    next_probe: Instant,
    probing: u8,
    quick_looks: u8,
    lost_session: Option<u64>,
    is_silent: bool,
    /// Probes may overtake each other: only a later one than the last that counted counts.
    last_counted: u64,
}

/// A group that waits for its evaluation.
#[derive(Clone, Copy, Default)]
struct Due {
    ask: bool,
    /// It failed just now: not before then.
    not_before: Option<Instant>,
}

/// A probe that has ended.
struct Probed {
    target: Target,
    number: u64,
    met: Probe,
}

/// All that the worker remembers.
pub struct Watch {
    servers: BTreeMap<NodeId, Watched>,
    evaluated: BTreeMap<i32, Instant>,
    due: BTreeMap<i32, Due>,
    probes: JoinSet<Probed>,
    probe_number: u64,
    local: Local,
    next_wake_up: Instant,
    next_pruning: Instant,
    next_look: Instant,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new() -> Watch {
        let now = Instant::now();
        Watch {
            servers: BTreeMap::new(),
            evaluated: BTreeMap::new(),
            due: BTreeMap::new(),
            probes: JoinSet::new(),
            probe_number: 0,
            local: Local::new(),
            next_wake_up: now,
            next_pruning: now,
            next_look: now,
        }
    }

    /// A backend has rung: it has a session or an evaluation behind it, so there is a database to connect to.
    pub fn rung(&mut self) {
        self.local.try_at_once();
    }

    /// Returns when a probe has ended, or when a clock says that it is time to look.
    pub async fn something_is_due(&mut self) {
        tokio::select! {
            biased;
            Some(ended) = self.probes.join_next() => {
                // A probe that panicked has told nothing; the next one will.
                if let Ok(probed) = ended {
                    self.count(probed);
                }
            }
            () = sleep_until(self.next_look) => {}
        }
    }

    /// Looks at the board, starts the probes that are due, and has evaluated what is to be evaluated.
    pub async fn look(&mut self) {
        while let Some(Ok(probed)) = self.probes.try_join_next() {
            self.count(probed);
        }
        let Ok(targets) = pg::board(|board| board.targets(pg::now())) else { return };
        self.servers.retain(|id, _| targets.iter().any(|target| target.id == *id));
        let now = Instant::now();
        for target in &targets {
            self.watch(target, now);
        }
        self.evaluate_what_is_due().await;
        self.keep_house().await;
        self.next_look = self.next_moment(&targets);
    }

    /// Looks at one server's slot.
    fn watch(&mut self, target: &Target, now: Instant) {
        let watched = self.servers.entry(target.id).or_insert_with(|| Watched {
            next_probe: now,
            probing: 0,
            quick_looks: 0,
            lost_session: None,
            is_silent: false,
            last_counted: 0,
        });
        let is_silent = target.silent_for > OVERDUE;
        let newly_lost = target.lost_session.is_some() && watched.lost_session != target.lost_session;
        let newly_silent = is_silent && !watched.is_silent;
        (watched.lost_session, watched.is_silent) = (target.lost_session, is_silent);
        if newly_lost {
            watched.quick_looks = LOOK_AGAIN;
        }
        // A lost session does not wait for the probe before it, which may hang until its time is out.
        if newly_lost || (watched.probing == 0 && watched.next_probe <= now) {
            watched.probing += 1;
            watched.next_probe = now + gucs::health_check_period();
            self.probe_number += 1;
            let (target, number, limit) = (target.clone(), self.probe_number, gucs::health_check_timeout());
            self.probes.spawn(async move {
                let met = probe(&target.host, target.port, limit).await;
                Probed { target, number, met }
            });
        }
        let last = self.evaluated.get(&target.group);
        let is_time = last.is_none_or(|last| now.duration_since(*last) >= RESTLESS);
        if newly_lost || newly_silent {
            self.due.entry(target.group).or_default().ask = true;
        } else if is_time && (target.unsettled || is_silent) {
            self.due.entry(target.group).or_default();
        }
    }

    /// Writes a probe's result on the board.
    fn count(&mut self, probed: Probed) {
        let Some(watched) = self.servers.get_mut(&probed.target.id) else { return };
        watched.probing = watched.probing.saturating_sub(1);
        if probed.number < watched.last_counted {
            return;
        }
        watched.last_counted = probed.number;
        if probed.met == Probe::Refused {
            watched.quick_looks = 0;
        } else if watched.quick_looks > 0 {
            watched.quick_looks -= 1;
            watched.next_probe = Instant::now() + LOOK_AGAIN_AFTER;
        }
        let news = pg::board(|board| board.probed(probed.target.id, probed.met, pg::now()));
        if news.unwrap_or(false) {
            self.due.entry(probed.target.group).or_default().ask |= probed.met != Probe::Answers;
        }
    }

    async fn evaluate_what_is_due(&mut self) {
        for (serial, due) in std::mem::take(&mut self.due) {
            let now = Instant::now();
            let waits = due.not_before.is_some_and(|moment| now < moment);
            if waits {
                self.due.insert(serial, due);
                continue;
            }
            self.evaluated.insert(serial, now);
            if !self.local.evaluate(serial, due.ask).await {
                // What was lost stays lost on the board meanwhile.
                self.due.insert(serial, Due { not_before: Some(Instant::now() + RESTLESS), ..due });
            }
        }
    }

    async fn keep_house(&mut self) {
        let now = Instant::now();
        if pg::board(|board| board.refusals.is_due(pg::now())).unwrap_or(false) {
            self.local.tell_refusals().await;
        }
        if now >= self.next_wake_up || self.local.is_new() {
            let done = self.local.wake_up().await;
            self.next_wake_up = now + if done { WAKE_UP } else { Duration::from_secs(1) };
            if done {
                // It may have brought servers to probe.
                pg::ring();
            }
        }
        if now >= self.next_pruning {
            self.next_pruning = match self.local.prune_events(PRUNED_AT_ONCE).await {
                Some(pruned) if pruned < PRUNED_AT_ONCE => now + HOUR,
                Some(_) => now + BETWEEN_PRUNINGS,
                None => now + RETRY_PRUNING,
            };
        }
    }

    fn next_moment(&self, targets: &[Target]) -> Instant {
        let now = Instant::now();
        let restless = targets.iter().any(|target| target.unsettled || target.silent_for > OVERDUE);
        let probes =
            self.servers.values().filter(|watched| watched.probing == 0).map(|watched| watched.next_probe);
        let retry = (!self.due.is_empty()).then_some(now + RESTLESS);
        let look = restless.then_some(now + RESTLESS);
        // Silence has no bell: look often enough to notice it begin.
        let silence = (!targets.is_empty()).then_some(now + Duration::from_millis(500));
        let moments =
            probes.chain(retry).chain(look).chain(silence).chain([self.next_wake_up, self.next_pruning]);
        moments.min().unwrap_or(self.next_wake_up).max(now + Duration::from_millis(1))
    }
}
