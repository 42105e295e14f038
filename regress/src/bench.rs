//! `make bench`: what this software costs and how fast it is, on real servers. Apart from the tests, which assert no figure.
//!
//! ```text
//! pauses      how long writes stand still for a client that writes every millisecond, and how soon the old node is back
//! floor       the same with PostgreSQL alone and nobody who has to find out: what no failover can be faster than
//! segments    what small segments of WAL cost a bulk load
//! throughput  pgbench with and without the library, in turns, on the same data directories
//! heartbeats  what a monitor carries, from simulated nodes
//! lossy       what becomes of a group while every link loses and delays packets: no failover, and pauses of so long
//! fence       how soon the last commit follows when a primary raises its fence
//! tolerated   for how long a primary may be silent before another node takes its place
//! idle        CPU and memory of our workers when nothing happens
//! figures     what all of them give: named samples, printed as a table and kept as JSON
//! ```

pub mod fence;
pub mod figures;
pub mod floor;
pub mod heartbeats;
pub mod idle;
pub mod lossy;
pub mod pauses;
pub mod segments;
pub mod throughput;
pub mod tolerated;
