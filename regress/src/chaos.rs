//! Chaos: random faults under load, from a seed that replays them, and a history that is checked at the end.
//!
//! ```text
//! schedule    what happens when, and to whom: a function of the seed and of nothing else
//! strike      does one fault, and undoes it when its time is over
//! supervisor  starts servers that died, as an init system would
//! load        writers of five kinds, readers on every node; each operation is kept with its outcome
//! history     what must be true of all these operations in the end
//! health      when a group counts as healthy again
//! measure     memory, descriptors and processes of ours
//! run         all of it together; report: what it came to
//! ```
pub mod fault;
pub mod health;
pub mod history;
pub mod load;
pub mod measure;
pub mod random;
pub mod readers;
pub mod report;
pub mod run;
pub mod schedule;
pub mod strike;
pub mod supervisor;
pub mod writers;
