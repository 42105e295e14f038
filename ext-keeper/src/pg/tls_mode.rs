//! The values of `pg_autoctl.ssl_mode`: PostgreSQL refuses any other by itself.
use connection::SslMode;
use pgrx::guc::PostgresGucEnum;

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum TlsMode {
    /// No TLS.
    #[name = c"disable"]
    Disable,
    /// Where the other node has it.
    #[name = c"prefer"]
    Prefer,
    /// Always.
    #[name = c"require"]
    Require,
    /// From an authority that we trust.
    #[name = c"verify-ca"]
    VerifyCa,
    /// With the other node's name.
    #[name = c"verify-full"]
    VerifyFull,
}

impl From<TlsMode> for SslMode {
    fn from(mode: TlsMode) -> SslMode {
        match mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require => SslMode::Require,
            TlsMode::VerifyCa => SslMode::VerifyCa,
            TlsMode::VerifyFull => SslMode::VerifyFull,
        }
    }
}
