//! Decisions of the failover system, and nothing else: no clock, no network, no files, no Postgres.
//!
//! One heartbeat, there and back:
//!
//! ```text
//! keeper                                monitor
//! observe -> message::Report  ───────▶  group::Group::hear(report)
//!                                       monitor::decide(group, policy, now) -> Decision, until there is none
//! keeper::plan(local, assignment)  ◀──  monitor::assignment(group, node) -> message::Assignment
//!   -> actions, done by ext-keeper
//! ```
//!
//! The laws that these tables keep are in section 5 of the founding design, retold in docs/architecture.md.
#![forbid(unsafe_code)]

pub mod boots;
pub mod group;
pub mod keeper;
pub mod message;
pub mod monitor;
pub mod password;
pub mod policy;
pub mod rule;
pub mod state;
pub mod supply;
pub mod units;
