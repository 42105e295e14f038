//! Whom a client trusts in each mode, against TLS servers with certificates of every kind.
#![expect(clippy::unwrap_used, reason = "a test")]
use connection::{HandshakeFailure, Ssl, SslMode, handshake};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a name, and its key.
    fn sign(&self, name: &str, serial: u64, change: impl Fn(&mut CertificateParams)) -> Shown {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn revocation_of(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2124, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

type Shown = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// One connection of a client with those wishes to a server that shows this; nothing: a server without TLS.
fn reach(shown: Option<Shown>, ssl: &Ssl) -> Result<CertificateDer<'static>, HandshakeFailure> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 8];
            socket.read_exact(&mut request).unwrap();
            assert_eq!(request, [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
            let Some((certificate, key)) = shown else { return socket.write_all(b"N").unwrap() };
            socket.write_all(b"S").unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config =
                ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
            let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
            // A client that does not trust us leaves.
            while tls.is_handshaking() && tls.complete_io(&mut socket).is_ok() {}
        });
        handshake("127.0.0.1", port, ssl, LIMIT)
    })
}

#[test]
fn each_mode_trusts_whom_libpq_would() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let trusted = file("ours.pem", ours.certificate.pem());
    let ssl = |mode, crl| Ssl { mode, root_cert: Some(trusted.clone()), crl };
    let (require, ca, full) =
        (Ssl::of(SslMode::Require), ssl(SslMode::VerifyCa, None), ssl(SslMode::VerifyFull, None));
    let good = || ours.sign("127.0.0.1", 1, |_| {});
    let named = || ours.sign("elsewhere.example", 2, |_| {});
    let foreign = || theirs.sign("127.0.0.1", 3, |_| {});
    let old = || ours.sign("127.0.0.1", 4, |params| params.not_after = date_time_ymd(2001, 1, 1));

    for (ssl, shown) in [
        (&require, good()),
        (&require, foreign()),
        (&require, old()),
        (&ca, good()),
        (&ca, named()),
        (&full, good()),
    ] {
        let expected = shown.0.clone();
        assert_eq!(reach(Some(shown), ssl).unwrap(), expected, "{ssl:?}");
    }
    for (ssl, shown, why) in [
        (&ca, foreign(), "was not signed by an authority in"),
        (&ca, old(), "has expired"),
        (&full, named(), "is for another name"),
        (&full, foreign(), "was not signed by an authority in"),
        // As with libpq, an authority to trust is trusted alone, whatever the mode.
        (&Ssl { mode: SslMode::Require, ..ca.clone() }, foreign(), "was not signed by an authority in"),
    ] {
        let error = reach(Some(shown), ssl).unwrap_err();
        assert!(error.to_string().contains(why), "{ssl:?}: {error}");
    }
    let lists = |serial| Some(file("list.pem", ours.revocation_of(serial)));
    let error = reach(Some(good()), &ssl(SslMode::VerifyFull, lists(1))).unwrap_err();
    assert!(error.to_string().contains("was revoked"), "{error}");
    reach(Some(good()), &ssl(SslMode::VerifyFull, lists(99))).unwrap();
    for ssl in [require, full] {
        let error = reach(None, &ssl).unwrap_err();
        assert_eq!(error.to_string(), "the server does not speak TLS");
    }
}

#[test]
fn a_certificate_can_be_its_own_authority() {
    let directory = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let path = directory.path().join("server.crt");
    fs::write(&path, certificate.pem()).unwrap();
    let shown = (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap());
    reach(Some(shown), &Ssl { mode: SslMode::VerifyFull, root_cert: Some(path), crl: None }).unwrap();
}

#[test]
fn a_file_that_holds_no_certificate_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("empty.pem", Some("")), ("missing.pem", None)] {
        let path = directory.path().join(name);
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let ssl = Ssl { mode: SslMode::VerifyCa, root_cert: Some(path), crl: None };
        let error = handshake("127.0.0.1", 1, &ssl, LIMIT).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
