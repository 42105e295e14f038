//! What a cluster is told about TLS: nothing, so that it has the defaults; an authority that signs every certificate; or to do without.
use crate::account::Account;
use connection::{Ssl, SslMode};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How a cluster is made.
#[derive(Default)]
pub enum Encryption {
    /// As without any option.
    #[default]
    Usual,
    /// verify-full, by this authority.
    By(Box<Authority>),
    /// `--no-ssl`.
    Off,
}

/// An authority of the test's own, with the certificates that it signed.
pub struct Authority {
    directory: PathBuf,
    account: Account,
    issuer: Issuer<'static, KeyPair>,
}

impl Encryption {
    /// The options with which a server of that name or address is made.
    pub fn options(&self, host: &str) -> Vec<String> {
        match self {
            Encryption::Usual => Vec::new(),
            Encryption::By(authority) => authority.options(host),
            Encryption::Off => vec!["--no-ssl".to_owned()],
        }
    }

    /// What the monitor's address says.
    pub fn parameters(&self) -> String {
        match self {
            // What is left out means sslmode=require.
            Encryption::Usual => String::new(),
            Encryption::By(authority) => {
                format!("?sslmode=verify-full&sslrootcert={}", authority.file().display())
            }
            Encryption::Off => "?sslmode=prefer".to_owned(),
        }
    }
}

impl Authority {
    /// A new one, with its files in a directory that it makes.
    pub fn new(directory: PathBuf, account: &Account) -> Authority {
        fs::create_dir(&directory).expect("making the authority's directory");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("chmod");
        let mut params = CertificateParams::new([]).expect("no names");
        let name = directory.display().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signing");
        let authority = Authority { directory, account: account.clone(), issuer: Issuer::new(params, key) };
        authority.write(&authority.file(), &certificate.pem());
        authority.account.own(&authority.directory);
        authority
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A new certificate for a server, and its key.
    pub fn sign(&self, host: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("a name or an address");
        let certificate = params.signed_by(&key, &self.issuer).expect("signing");
        let file = |kind: &str| self.directory.join(format!("{}.{kind}", host.replace(':', "_")));
        self.write(&file("crt"), &certificate.pem());
        self.write(&file("key"), &key.serialize_pem());
        (file("crt"), file("key"))
    }

    /// The options that give a server such a certificate.
    pub fn options(&self, host: &str) -> Vec<String> {
        let (certificate, key) = self.sign(host);
        let text = |path: &Path| path.display().to_string();
        let options = [
            ("--server-cert", text(&certificate)),
            ("--server-key", text(&key)),
            ("--ssl-ca-file", text(&self.file())),
        ];
        options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]).collect()
    }

    fn write(&self, path: &Path, text: &str) {
        fs::write(path, text).expect("writing a certificate");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("chmod");
        self.account.own(path);
    }
}

/// What the harness's own clients ask for: the servers do not let them in without TLS, unless they were told so.
pub fn of_clients() -> Ssl {
    Ssl::of(SslMode::Prefer)
}
