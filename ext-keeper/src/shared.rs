//! Everything in shared memory, for backends, the receiver and the worker alike.
//!
//! It begins anew with each life of the server and in each crash cycle, always in its most forbidding form: the fence
//! up, the receiver's gate closed, every commit bound to the members of a rule.
use crate::pg::shmem::BOARD;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64};

/// What must be read without a lock.
#[derive(Default)]
pub struct Board {
    /// Until when commits are allowed: 0 never, MAX always, else nanoseconds of CLOCK_BOOTTIME.
    fence: AtomicU64,
    /// Since when the fence is up while it says "never", on CLOCK_BOOTTIME.
    lapsed_at: AtomicU64,
    /// Commits that end after this position have to be on members; MAX: none has to.
    bound_after: AtomicU64,
    /// The greatest number that a rule was given in this life.
    rule_numbers: AtomicU32,
    /// The number of the rule that walsenders must have read; 0: none.
    rule_number: AtomicU32,
    /// What the checkpointer has read.
    checkpointer_number: AtomicU32,
    /// What the walsenders that stream to nodes have read.
    readers: [rule::Reader; rule::READERS],
    /// The number of the receiver's present permission. 0: it has none.
    gate: AtomicU64,
    /// The number of the permission to log in and wait for the gate to open. 0: there is none.
    approach: AtomicU64,
    /// How many permissions were given.
    gates: AtomicU64,
    /// The receiver has logged in and waits.
    waiting: AtomicBool,
    /// The receiver that streams now; 0: none does.
    receiver: AtomicI32,
    /// The number of the permission that it connected under.
    receiver_gate: AtomicU64,
    /// A receiver has streamed in this life.
    streamed: AtomicBool,
    /// The first commit of the reign: 0 not awaited, MAX awaited, else when it was.
    first_write: AtomicU64,
    /// The term that this is about.
    first_write_term: AtomicU64,
    enrolled: AtomicBool,
    boot: AtomicU64,
    life: AtomicU64,
}

fn board() -> &'static Board {
    BOARD.get()
}

pub mod first_write;
pub mod rule;
pub mod view;

pub use gate::Target;
pub use view::View;

/// Nanoseconds that do not stop while the machine sleeps.
pub mod clock {
    /// Now.
    pub fn boottime_ns() -> u64 {
        crate::pg::boottime_ns()
    }
}

/// The commit fence (law 3).
pub mod fence {
    use super::{board, clock};
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::Duration;

    const LAPSED: u64 = 0;
    const UNLEASED: u64 = u64::MAX;

    /// What the fence says.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fence {
        /// It holds no lease.
        Lapsed,
        /// A lease until then, which may have passed.
        LeasedUntil(u64),
        /// Commits need no lease.
        Unleased,
    }

    /// Nothing commits from now on.
    pub fn lapse() {
        let since = up_since().unwrap_or_else(clock::boottime_ns);
        board().lapsed_at.store(since, SeqCst);
        board().fence.store(LAPSED, SeqCst);
    }

    /// A fence that has been up counts from now on: before, there was nothing to keep from committing.
    pub fn count_from_now() {
        board().lapsed_at.store(clock::boottime_ns(), SeqCst);
    }

    /// Commits need no lease from now on. Only in a state that is durably unleased.
    pub fn open_unleased() {
        board().fence.store(UNLEASED, SeqCst);
    }

    /// Lets a lease run until then. It never gets shorter, and means nothing to a node that needs none.
    pub fn extend_lease(until_boottime_ns: u64) {
        // UNLEASED is the greatest number, so the maximum keeps it.
        board().fence.fetch_max(until_boottime_ns.min(UNLEASED - 1), SeqCst);
    }

    /// Commits need a lease from now on, and it runs until then: in one step, so that no commit between meets a fence that is up.
    pub fn exchange_for_lease(until_boottime_ns: u64) {
        let until = until_boottime_ns.min(UNLEASED - 1);
        if board().fence.compare_exchange(UNLEASED, until, SeqCst, SeqCst).is_err() {
            extend_lease(until);
        }
    }

    /// Commits need a lease from now on, and there is none yet. A running lease is left alone.
    pub fn end_unleased() {
        if state() == Fence::Unleased {
            count_from_now();
        }
        // A failed exchange means that it was not unleased.
        let _ = board().fence.compare_exchange(UNLEASED, LAPSED, SeqCst, SeqCst);
    }

    /// As it is now.
    pub fn state() -> Fence {
        match board().fence.load(SeqCst) {
            LAPSED => Fence::Lapsed,
            UNLEASED => Fence::Unleased,
            until => Fence::LeasedUntil(until),
        }
    }

    /// Nothing commits now.
    pub fn is_up() -> bool {
        match state() {
            Fence::Lapsed => true,
            Fence::LeasedUntil(until) => clock::boottime_ns() >= until,
            Fence::Unleased => false,
        }
    }

    /// Since when nothing commits.
    fn up_since() -> Option<u64> {
        match state() {
            Fence::Lapsed => Some(board().lapsed_at.load(SeqCst)),
            Fence::LeasedUntil(until) => (clock::boottime_ns() >= until).then_some(until),
            Fence::Unleased => None,
        }
    }

    /// Nothing has committed for that long.
    pub fn has_been_up_for(time: Duration) -> bool {
        up_since()
            .is_some_and(|since| u128::from(clock::boottime_ns().saturating_sub(since)) >= time.as_nanos())
    }
}

/// The receiver's gate: closed after a pledge, open to one upstream.
pub mod gate {
    use super::board;
    use crate::pg::shmem::TARGET;
    use std::sync::atomic::Ordering::SeqCst;

    const CLOSED: u64 = 0;
    const NOBODY: u64 = 0;
    /// A server that is not enrolled may follow whom it likes.
    const ANYBODY: u64 = u64::MAX;
    const HOST: usize = 256;

    /// Whom the receiver may connect to.
    #[derive(Clone, Copy)]
    pub struct Target {
        host: [u8; HOST],
        length: usize,
        port: u16,
    }

    impl Default for Target {
        fn default() -> Target {
            Target { host: [0; HOST], length: 0, port: 0 }
        }
    }

    impl Target {
        fn of(host: &str, port: u16) -> Option<Target> {
            let mut target = Target { length: host.len(), port, ..Target::default() };
            target.host.get_mut(..host.len())?.copy_from_slice(host.as_bytes());
            Some(target)
        }

        fn is(&self, host: &str, port: u16) -> bool {
            self.port == port && &self.host[..self.length] == host.as_bytes()
        }
    }

    /// No receiver connects from now on, and what one says to its upstream is not sent.
    pub fn close() {
        board().gate.store(CLOSED, SeqCst);
        board().approach.store(NOBODY, SeqCst);
    }

    /// The gate is closed, but a receiver may log in to that peer already, and waits there for the gate to open.
    pub fn let_approach(host: &str, port: u16) {
        board().gate.store(CLOSED, SeqCst);
        let mut target = TARGET.exclusive();
        if approach() == NOBODY || !target.is(host, port) {
            let number = aim(&mut target, host, port).unwrap_or(NOBODY);
            board().approach.store(number, SeqCst);
        }
    }

    /// A receiver may connect to that upstream, and to no other. One that is connected to another stays mute, and one that waits
    /// there already goes on.
    pub fn open(host: &str, port: u16) {
        let mut target = TARGET.exclusive();
        if is_open() && target.is(host, port) {
            return;
        }
        let approached = Some(approach()).filter(|number| *number != NOBODY && target.is(host, port));
        let number = approached.or_else(|| aim(&mut target, host, port));
        board().gate.store(number.unwrap_or(CLOSED), SeqCst);
        board().approach.store(NOBODY, SeqCst);
    }

    /// A receiver may log in to somebody, and no more.
    pub fn lets_approach() -> bool {
        approach() != NOBODY
    }

    /// A new permission. A host name is shorter than that in any network; what does not fit is not let through.
    fn aim(target: &mut Target, host: &str, port: u16) -> Option<u64> {
        *target = Target::of(host, port)?;
        Some(board().gates.fetch_add(1, SeqCst) + 1)
    }

    fn approach() -> u64 {
        board().approach.load(SeqCst)
    }

    /// A receiver that has logged in under this permission is to wait: the gate is not open yet.
    pub(crate) fn is_to_wait(number: u64) -> bool {
        number != NOBODY && approach() == number
    }

    /// Everybody may be followed: the server is not enrolled.
    pub(crate) fn open_to_anybody() {
        board().gate.store(ANYBODY, SeqCst);
    }

    /// A receiver may connect to somebody.
    pub fn is_open() -> bool {
        number() != CLOSED
    }

    /// The number of the present permission: a connection that was made under another one is not covered by it.
    pub(crate) fn number() -> u64 {
        board().gate.load(SeqCst)
    }

    /// The number of the permission to connect there, if there is one.
    pub(crate) fn permission_for(host: &str, port: u16) -> Option<u64> {
        let target = TARGET.share();
        let number = if is_open() { number() } else { approach() };
        (number == ANYBODY || (number != CLOSED && target.is(host, port))).then_some(number)
    }

    /// Anybody may be followed.
    pub(crate) fn is_open_to_anybody() -> bool {
        number() == ANYBODY
    }
}

/// The WAL receiver.
pub mod receiver {
    use super::{board, gate, wake};
    use fsm::units::{Lsn, Timeline};
    use std::sync::atomic::Ordering::SeqCst;

    /// It streams now.
    pub fn is_streaming() -> bool {
        process() != 0
    }

    /// The process that streams; 0: none.
    pub fn process() -> i32 {
        board().receiver.load(SeqCst)
    }

    /// It has streamed in this life of the server.
    pub fn streamed_in_this_life() -> bool {
        board().streamed.load(SeqCst)
    }

    /// Up to where it has flushed; nothing when none was wanted in this life. Without [`streamed_in_this_life`] this is
    /// only where one was to begin.
    pub fn flushed_upto() -> Option<(Lsn, Timeline)> {
        crate::pg::received_lsn_and_timeline()
    }

    /// The process that streams under a permission that is not the present one: it acknowledges nothing until it ends.
    pub fn mute() -> Option<i32> {
        let receiver = board().receiver.load(SeqCst);
        (receiver != 0 && board().receiver_gate.load(SeqCst) != gate::number()).then_some(receiver)
    }

    /// One has logged in to its upstream, and waits for the gate to open.
    pub fn is_waiting() -> bool {
        board().waiting.load(SeqCst)
    }

    pub(crate) fn waits(whether: bool) {
        board().waiting.store(whether, SeqCst);
    }

    pub(crate) fn started(permission: u64) {
        board().receiver_gate.store(permission, SeqCst);
        board().receiver.store(std::process::id() as i32, SeqCst);
        board().streamed.store(true, SeqCst);
        wake::ring();
    }

    pub(crate) fn ended() {
        waits(false);
        if board().receiver.swap(0, SeqCst) != 0 {
            wake::ring();
        }
    }
}

/// What the boot guard found.
pub mod enrolled {
    use super::board;
    use std::sync::atomic::Ordering::SeqCst;

    /// This server is a node: it has a state beside PGDATA, an identity in it, and they agree.
    pub fn is() -> bool {
        board().enrolled.load(SeqCst)
    }

    /// The number of this life; 0 when it could not be counted.
    pub fn boot() -> u64 {
        board().boot.load(SeqCst)
    }

    /// The random number of this life, which no other life of the node has.
    pub fn life() -> u64 {
        board().life.load(SeqCst)
    }

    /// This life counts as that number from now on.
    pub fn count_as(boot: u64) {
        board().boot.store(boot, SeqCst);
    }

    pub(crate) fn set(boot: u64, life: u64) {
        count_as(boot);
        board().life.store(life, SeqCst);
        board().enrolled.store(true, SeqCst);
    }
}

/// The keeper's bell: an event counter made in the postmaster and inherited by every process.
pub mod wake {
    use std::os::fd::RawFd;
    use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

    static FD: AtomicI32 = AtomicI32::new(-1);

    /// Makes it. In the postmaster, before any child.
    pub(crate) fn make() -> std::io::Result<()> {
        FD.store(crate::pg::event_fd()?, Relaxed);
        Ok(())
    }

    /// What the worker waits on.
    pub fn fd() -> RawFd {
        FD.load(Relaxed)
    }

    /// Wakes the worker.
    pub fn ring() {
        crate::pg::ring(fd());
    }
}
