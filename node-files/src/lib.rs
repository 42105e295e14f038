//! The files that a node keeps beside its PGDATA, and the one that it keeps inside.
//!
//! One crate because two programs share them: the library inside the server, and the helper that runs between two
//! lives of it. Nothing here knows PostgreSQL; everything that is told to somebody else is on the disk first.
//!
//! Beside PGDATA and not in it, because pg_rewind copies or deletes whatever stands there.

pub mod alone;
pub mod boots;
pub mod conninfo;
pub mod dir;
pub mod durable;
pub mod error;
pub mod hba;
pub mod identity;
pub mod phase;
pub mod restart;
pub mod revision;
pub mod secrets;
pub mod slots;
pub mod state;
pub mod token;
pub mod verifier;

pub use alone::StartAlone;
pub use dir::StateDir;
pub use error::{Error, Result};
pub use identity::Identity;
pub use phase::{Copy, Phase, Step};
pub use restart::Restart;
pub use secrets::Secrets;
pub use state::State;
pub use token::WriterToken;
