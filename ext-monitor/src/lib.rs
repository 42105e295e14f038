//! The monitor: PostgreSQL's side of `fsm::monitor`.
//!
//! Everything that can change a goal enters through [`evaluate`]: a keeper's report, an operator's command, and the
//! worker when a session ended, a probe met something new, or a clock ran out. What happens each second (LSNs, sessions,
//! probes) lives on the [`board`] in shared memory; what was decided lives in rows ([`store`]).
//!
//! ```text
//! keeper_report(json) ─▶ api/heartbeat ─▶ nothing new: the board, and the answer given before
//!                                    └──▶ evaluate: lock, load, hear, decide…, save ─▶ commit ─▶ board
//! worker: probe, board ─▶ evaluate(group) over its own connection ─▶ the same
//! ```

mod api;
mod beside;
mod board;
mod error;
mod evaluate;
mod gucs;
mod health;
mod notify;
mod pg;
mod probe;
mod refuse;
mod session;
mod store;
mod tell;
mod transaction;
mod watch;
mod worker;

use pgrx::prelude::*;

pgrx::pg_module_magic!();

/// Runs in the postmaster when the library is preloaded, and in a backend that meets it otherwise: there it can
/// only define its settings, for shared memory and the worker come with the postmaster's start.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    let preloading = pg::preloading();
    gucs::define(preloading);
    if !preloading {
        return;
    }
    pg::make_doorbell();
    pg::make_board();
    pg::watch_transactions();
    worker::register();
}
