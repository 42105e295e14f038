//! Where servers are, and how to reach them: connection strings and TLS as libpq has them, for tokio-postgres.
//!
//! A crate of its own because keeper and command line must not differ in whom they trust.

pub mod address;
mod error;
pub mod keywords;
pub mod liveness;
pub mod ssl;
pub mod target;
mod tls;

pub use address::Address;
pub use error::Error;
pub use ssl::{Ssl, SslMode};
pub use target::{ConnectFailure, Link, Target};
pub use tls::{HandshakeFailure, handshake, suits};
