//! The cluster harness: real servers, real faults, and two oracles that watch all the while.
//!
//! ```text
//! Cluster::pair("name")        a monitor and two nodes, made by pg_autoctl itself, settled
//!   .node(1).kill_tree()       what a scenario does to a server: start, stop, kill, freeze, thaw, reset its connections,
//!                              signal one Part, fill its WAL disk, take and restore an image of its disk
//! Cluster::on_machines("name") each server on a machine of its own, so that
//!   .network().separate(a, b)  cables can be cut (one direction, both, from everybody), lose packets, or be slow; heal()
//! Cluster::on_noisy_machines("name", seed)
//!   .network().make_noise(…)   all cables, those of the clients too, lose some frames and delay the others; heal()
//!   wait::until("…", LIMIT, …) what it waits for; a failure says what was seen last
//! Ledger                       every acknowledged row must be there in the end; a failed one may be
//! Witness                      asks every node all the time to commit: never do two histories accept
//! ```
//!
//! Verbs panic with one sentence when they fail, for then the scenario has failed; questions return what they saw.
//! A cluster that is dropped in a panic keeps its directory and prints where it is.

pub mod account;
pub mod address;
pub mod bench;
pub mod chaos;
pub mod cluster;
pub mod deadlines;
pub mod disk;
pub mod encryption;
pub mod faults;
pub mod image;
pub mod install;
pub mod interrupt;
pub mod ledger;
pub mod listener;
pub mod logs;
pub mod network;
pub mod oracles;
pub mod page;
pub mod plain;
pub mod process;
pub mod server;
pub mod session;
pub mod terminal;
pub mod wait;
pub mod witness;
