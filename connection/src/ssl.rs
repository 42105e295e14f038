//! What a connection asks of TLS, in libpq's words.
use crate::{Error, tls};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// libpq's `sslmode`, in rising order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server has it.
    Prefer,
    /// TLS. Who the server is, only the password proves, by channel binding.
    #[default]
    Require,
    /// And a certificate from an authority that we trust.
    VerifyCa,
    /// And the server's name in it.
    VerifyFull,
}

impl SslMode {
    /// Every mode.
    pub const ALL: [SslMode; 5] =
        [SslMode::Disable, SslMode::Prefer, SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull];

    /// As libpq spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SslMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<SslMode, Error> {
        SslMode::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or_else(|| {
            Error::new(
                format!("there is no sslmode {text:?}"),
                "it is one of disable, prefer, require, verify-ca, verify-full",
            )
        })
    }
}

/// What a connection asks of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ssl {
    /// How much.
    pub mode: SslMode,
    /// The authorities that are trusted (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_cert: Option<PathBuf>,
    /// What they have taken back (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl: Option<PathBuf>,
}

impl Ssl {
    /// A mode without files.
    pub fn of(mode: SslMode) -> Ssl {
        Ssl { mode, root_cert: None, crl: None }
    }

    /// Nothing goes over the wire in the clear.
    pub fn encrypts(&self) -> bool {
        self.mode >= SslMode::Require
    }

    /// The server's certificate is looked at. As with libpq, `require` does so too when it is told whom to trust.
    pub fn verifies(&self) -> bool {
        self.mode >= SslMode::VerifyCa || (self.encrypts() && self.root_cert.is_some())
    }

    /// As libpq's parameters, each with its value.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let file = |name, path: &Option<PathBuf>| Some((name, path.as_ref()?.display().to_string()));
        let mode = Some(("sslmode", self.mode.to_string()));
        [mode, file("sslrootcert", &self.root_cert), file("sslcrl", &self.crl)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Takes one of libpq's parameters. False: it is not about TLS, or nothing that we look at.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, Error> {
        let file = || (!value.is_empty()).then(|| PathBuf::from(value));
        match name {
            "sslmode" => self.mode = value.parse()?,
            "sslrootcert" => self.root_cert = file(),
            "sslcrl" => self.crl = file(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Refuses what could never work.
    pub fn check(&self) -> Result<(), Error> {
        if self.mode >= SslMode::VerifyCa && self.root_cert.is_none() {
            return Err(Error::new(
                format!("sslmode {} does not say which authority to trust", self.mode),
                "name the file with its certificate: sslrootcert (pg_autoctl.ssl_ca_file, --ssl-ca-file)",
            ));
        }
        let relative = |path: &&PathBuf| !path.is_absolute();
        // Read by programs that run in different directories.
        if let Some(path) = self.root_cert.iter().chain(&self.crl).find(relative) {
            return Err(Error::new(
                format!("\"{}\" is not a whole path", path.display()),
                "name certificate files by paths that begin with /",
            ));
        }
        Ok(())
    }

    /// Reads the files, so that one that cannot be used is refused before anybody depends on it.
    pub fn check_files(&self) -> Result<(), Error> {
        tls::client(self).map(drop)
    }

    /// The file of authorities, for messages.
    pub(crate) fn trusted(&self) -> &Path {
        self.root_cert.as_deref().unwrap_or(Path::new(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_spelt_as_libpq_spells_them() {
        for mode in SslMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("verify_full".parse::<SslMode>().is_err());
        assert_eq!(SslMode::default(), SslMode::Require);
    }

    #[test]
    fn verification_needs_an_authority() {
        assert!(Ssl::of(SslMode::Require).check().is_ok());
        assert!(Ssl::of(SslMode::VerifyFull).check().is_err());
        let ssl = |path: &str| Ssl { mode: SslMode::VerifyCa, root_cert: Some(path.into()), crl: None };
        assert!(ssl("/etc/ca.pem").check().is_ok());
        assert!(ssl("ca.pem").check().is_err());
    }
}
