//! The only unsafe code of this library: PostgreSQL's C interface as safe functions.
//!
//! Nothing here decides anything. Everything is to be called on the main thread of a server process.
#![allow(unsafe_code)]

pub mod authentication;
pub mod commit;
pub mod fenced_reads;
pub mod postmaster;
pub mod process;
pub mod receiver;
pub mod sender;
pub mod shmem;
pub mod tls_mode;
pub mod wal;
pub mod worker;

pub use process::*;
pub use wal::*;
