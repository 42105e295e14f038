//! Certificates of servers: made when none are given, looked at before a server is told of them.
//!
//! Those that we make are in `<PGDATA>.autoctl/tls/<number>/`: outside of what a rewind or a new copy replaces, and each pair
//! in a directory of its own, so that no moment has the certificate of one and the key of another.
use crate::error::{Error, Result};
use connection::Ssl;
use node_files::{StateDir, durable};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use time::{Duration, OffsetDateTime};
use x509_cert::der::Decode;

const YEARS: i64 = 10;

/// A certificate and its key, as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// PEM; the server's own certificate first.
    pub certificate: PathBuf,
    /// PEM; nobody else may read it.
    pub key: PathBuf,
}

/// The pair that we made last, when it is whole and for this name; else a new one.
pub fn made(state_dir: &StateDir, hostname: &str) -> Result<Pair> {
    match numbers(state_dir)?.last().map(|number| pair_in(&place(state_dir, *number))) {
        Some(pair) if check(&pair).is_ok() && is_for(&pair, hostname) => Ok(pair),
        Some(_) | None => make(state_dir, hostname),
    }
}

/// A new pair for a server of that name or address, signed by itself.
pub fn make(state_dir: &StateDir, hostname: &str) -> Result<Pair> {
    let number = numbers(state_dir)?.last().map_or(1, |last| last + 1);
    let unusable = |cause: rcgen::Error| {
        Error::config(format!("no certificate can be made for \"{hostname}\": {cause}"))
            .hint("give --hostname a name or an address that other machines reach this one by")
    };
    let mut params = CertificateParams::new([hostname.to_owned()]).map_err(unusable)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, hostname);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = OffsetDateTime::now_utc();
    // Clocks differ.
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(365 * YEARS);
    let key = KeyPair::generate().map_err(unusable)?;
    let certificate = params.self_signed(&key).map_err(unusable)?;

    // Made beside its place and moved there: what is there is always a pair.
    let (begun, whole) = (directory(state_dir).join("new"), place(state_dir, number));
    if begun.exists() {
        std::fs::remove_dir_all(&begun).map_err(Error::io("remove", &begun))?;
    }
    std::fs::create_dir_all(&begun).map_err(Error::io("create", &begun))?;
    let pair = pair_in(&begun);
    durable::write(&pair.key, key.serialize_pem().as_bytes())?;
    durable::write(&pair.certificate, certificate.pem().as_bytes())?;
    std::fs::rename(&begun, &whole).map_err(Error::io("create", &whole))?;
    durable::sync_parent(&whole).map_err(Error::io("save", &whole))?;
    Ok(pair_in(&whole))
}

/// Removes those that we made before this one.
pub fn forget_others(state_dir: &StateDir, present: &Pair) -> Result<()> {
    for number in numbers(state_dir)? {
        let old = place(state_dir, number);
        if !present.certificate.starts_with(&old) {
            std::fs::remove_dir_all(&old).map_err(Error::io("remove", &old))?;
        }
    }
    Ok(())
}

/// Whether we made it.
pub fn is_ours(state_dir: &StateDir, certificate: &Path) -> bool {
    certificate.starts_with(directory(state_dir))
}

/// Refuses a pair that the server, or those who connect to it, could not use.
pub fn check(pair: &Pair) -> Result<()> {
    check_rights(&pair.key)?;
    let chain = chain(&pair.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&pair.key).map_err(|cause| unreadable(&pair.key, &cause))?;
    let provider = rustls::crypto::ring::default_provider();
    let own = chain[0].clone();
    CertifiedKey::from_der(chain, key, &provider).map_err(|cause| {
        let key = pair.key.display();
        let why = if matches!(cause, rustls::Error::InconsistentKeys(_)) {
            format!(
                "the key in \"{key}\" is not that of the certificate in \"{}\"",
                pair.certificate.display()
            )
        } else {
            format!("the key in \"{key}\" cannot be used: {cause}")
        };
        Error::config(why)
            .hint("give --server-cert and --server-key of one pair: RSA, or ECDSA with P-256 or P-384")
    })?;
    check_validity(&own, &pair.certificate)
}

fn check_validity(certificate: &CertificateDer<'_>, path: &Path) -> Result<()> {
    let broken = |cause: x509_cert::der::Error| {
        Error::config(format!("the certificate in \"{}\" cannot be read: {cause}", path.display()))
    };
    let validity = x509_cert::Certificate::from_der(certificate).map_err(broken)?.tbs_certificate.validity;
    let now = SystemTime::now();
    let why = if now < validity.not_before.to_system_time() {
        format!("is not valid before {}", validity.not_before)
    } else if now > validity.not_after.to_system_time() {
        format!("has expired at {}", validity.not_after)
    } else {
        return Ok(());
    };
    Err(Error::config(format!("the certificate in \"{}\" {why}", path.display()))
        .hint("ask your authority for a new one; is the clock of this machine right?"))
}

/// PostgreSQL refuses a key that others can read, when it starts.
fn check_rights(key: &Path) -> Result<()> {
    let about = std::fs::metadata(key).map_err(|cause| {
        Error::config(format!("the key \"{}\" cannot be read: {cause}", key.display()))
            .hint("give --server-key a file that the server's user can read")
    })?;
    // The system's own may be shared with a group, as Debian does.
    let others = if about.uid() == 0 { 0o027 } else { 0o077 };
    if about.mode() & others == 0 {
        return Ok(());
    }
    Err(Error::config(format!("the key \"{}\" can be read by others", key.display()))
        .hint(format!("chmod 0600 {}", key.display())))
}

/// Refuses a certificate that the others would not trust a server of that name with.
pub fn check_trusted(pair: &Pair, hostname: &str, asks: &Ssl) -> Result<()> {
    connection::suits(&chain(&pair.certificate)?, hostname, asks).map_err(|error| {
        Error::config(format!(
            "with \"{}\" nobody who asks for {} could connect to \"{hostname}\": {}",
            pair.certificate.display(),
            asks.mode,
            error.why
        ))
        .hint(error.hint)
    })
}

/// The certificate that a server with this file shows.
pub fn shown(certificate: &Path) -> Result<CertificateDer<'static>> {
    Ok(chain(certificate)?.swap_remove(0))
}

/// At least one.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let chain = found.map_err(|cause| unreadable(path, &cause))?;
    if chain.is_empty() {
        return Err(Error::config(format!("\"{}\" holds no certificate in PEM form", path.display())));
    }
    Ok(chain)
}

fn unreadable(path: &Path, cause: &rustls::pki_types::pem::Error) -> Error {
    Error::config(format!("\"{}\" cannot be read: {cause}", path.display()))
        .hint("certificates and keys are files in PEM form, keys without a passphrase, readable by the server's user")
}

fn is_for(pair: &Pair, hostname: &str) -> bool {
    let name = ServerName::try_from(hostname.to_owned());
    let (Ok(certificate), Ok(name)) = (shown(&pair.certificate), name) else { return false };
    ParsedCertificate::try_from(&certificate)
        .is_ok_and(|certificate| rustls::client::verify_server_name(&certificate, &name).is_ok())
}

fn directory(state_dir: &StateDir) -> PathBuf {
    state_dir.path().join("tls")
}

fn place(state_dir: &StateDir, number: u32) -> PathBuf {
    directory(state_dir).join(number.to_string())
}

fn pair_in(directory: &Path) -> Pair {
    Pair { certificate: directory.join("server.crt"), key: directory.join("server.key") }
}

/// Of the pairs that we have made and not removed, in order.
fn numbers(state_dir: &StateDir) -> Result<Vec<u32>> {
    let directory = directory(state_dir);
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io("read", &directory)(cause)),
    };
    let mut numbers: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn state_dir(directory: &tempfile::TempDir) -> StateDir {
        let state_dir = StateDir::at(directory.path().join("data.autoctl"));
        state_dir.create().unwrap();
        state_dir
    }

    #[test]
    fn what_we_make_is_for_its_host_and_kept_until_that_changes() {
        let directory = tempfile::tempdir().unwrap();
        let state_dir = state_dir(&directory);
        let first = made(&state_dir, "10.0.0.1").unwrap();
        check(&first).unwrap();
        assert!(is_ours(&state_dir, &first.certificate));
        assert_eq!(made(&state_dir, "10.0.0.1").unwrap(), first);
        let second = made(&state_dir, "db1.example").unwrap();
        assert_ne!(second, first);
        assert!(is_for(&second, "db1.example") && !is_for(&second, "10.0.0.1"));
        let third = make(&state_dir, "db1.example").unwrap();
        forget_others(&state_dir, &third).unwrap();
        assert!(!second.key.exists() && third.key.exists());
    }

    #[test]
    fn a_pair_that_the_server_would_refuse_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let state_dir = state_dir(&directory);
        let (one, other) = (make(&state_dir, "a").unwrap(), make(&state_dir, "b").unwrap());
        let mixed = Pair { key: other.key.clone(), ..one.clone() };
        assert!(check(&mixed).unwrap_err().message.contains("is not that of the certificate"));
        std::fs::set_permissions(&one.key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(check(&one).unwrap_err().message.contains("can be read by others"));
        std::fs::write(&other.certificate, "no certificate").unwrap();
        assert!(check(&other).unwrap_err().message.contains("holds no certificate"));
    }

    #[test]
    fn an_expired_certificate_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(["a".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        let key = KeyPair::generate().unwrap();
        let pair = pair_in(directory.path());
        durable::write(&pair.key, key.serialize_pem().as_bytes()).unwrap();
        durable::write(&pair.certificate, params.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
        assert!(check(&pair).unwrap_err().message.contains("has expired at"));
    }
}
