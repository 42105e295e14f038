//! TLS by rustls, with libpq's rules: who is trusted depends on the mode.
use crate::{Error, Ssl, SslMode};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

type Verified = Result<ServerCertVerified, rustls::Error>;
type Signed = Result<HandshakeSignatureValid, rustls::Error>;

/// How a client with these wishes goes about it.
pub fn client(ssl: &Ssl) -> Result<ClientConfig, Error> {
    ssl.check()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let broken = |error: rustls::Error| {
        Error::new(format!("TLS cannot be set up: {error}"), "report this as a mistake of ours")
    };
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let verifier = verifier(ssl, provider)?;
    let mut config =
        builder.map_err(broken)?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    // A connection stands for days: there is nothing to resume.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn verifier(ssl: &Ssl, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let algorithms = provider.signature_verification_algorithms;
    if !ssl.verifies() {
        return Ok(Arc::new(AnyName { algorithms, authorities: None }));
    }
    let trusted = ssl.trusted();
    let mut roots = RootCertStore::empty();
    for certificate in in_pem::<CertificateDer<'static>>(trusted)? {
        roots.add(certificate).map_err(|error| unusable(trusted, &error.to_string()))?;
    }
    let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(crl) = &ssl.crl {
        let lists = in_pem::<CertificateRevocationListDer<'static>>(crl)?;
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let full = builder
        .build()
        .map_err(|error| unusable(ssl.crl.as_deref().unwrap_or(trusted), &error.to_string()))?;
    if ssl.mode == SslMode::VerifyFull {
        return Ok(full);
    }
    Ok(Arc::new(AnyName { algorithms, authorities: Some(full) }))
}

/// What a PEM file holds of one kind; at least one.
fn in_pem<T: PemObject>(path: &Path) -> Result<Vec<T>, Error> {
    let found = T::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<T>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(unusable(path, "it holds none in PEM form")),
        Ok(found) => Ok(found),
        Err(rustls::pki_types::pem::Error::Io(cause)) => Err(unusable(path, &cause.to_string())),
        Err(cause) => Err(unusable(path, &format!("{cause:?}"))),
    }
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(
        format!("the certificates in \"{}\" cannot be used: {why}", path.display()),
        "correct the file, or name another one in sslrootcert or sslcrl (pg_autoctl.ssl_ca_file, pg_autoctl.ssl_crl_file)",
    )
}

/// Whoever holds the key of the certificate that it shows, or channel binding would prove nothing; and, where there are
/// authorities, whoever they vouch for, by whatever name. The name is what they look at last, so all else has been found good.
#[derive(Debug)]
struct AnyName {
    algorithms: WebPkiSupportedAlgorithms,
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Verified {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        match authorities.verify_server_cert(certificate, others, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Signed {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Signed {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What a failed handshake means to an operator.
pub fn explained(error: &rustls::Error, ssl: &Ssl) -> Error {
    let trusted = ssl.trusted().display();
    let again = "give that server a new one: pg_autoctl enable ssl";
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return Error::new(format!("TLS could not be agreed upon: {error}"), "see the log of that server");
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls adds causes; it words the rest itself")]
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Error::new("the server's certificate has expired", again)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Error::new("the server's certificate is not valid yet", "compare the clocks of both machines")
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Error::new(
            format!("the server's certificate was not signed by an authority in \"{trusted}\""),
            "is this the right server? Then add its authority to that file",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Error::new(
            format!("the server's certificate is for another name ({error})"),
            "reach the server by a name in its certificate, give it one with that name, or ask for sslmode=verify-ca",
        ),
        CertificateError::Revoked => Error::new("the server's certificate was revoked", again),
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => Error::new(
            "whether the server's certificate was revoked cannot be told",
            "bring the revocation list of its authority up to date (sslcrl, pg_autoctl.ssl_crl_file)",
        ),
        _ => Error::new(format!("the server's certificate cannot be used: {error}"), again),
    }
}

/// Whether a server of that name, with this chain of certificates, would be trusted.
pub fn suits(chain: &[CertificateDer<'_>], host: &str, ssl: &Ssl) -> Result<(), Error> {
    let verifier = verifier(ssl, Arc::new(rustls::crypto::ring::default_provider()))?;
    let Some((own, others)) = chain.split_first() else { return Err(shows_none()) };
    let verified = verifier.verify_server_cert(own, others, &name(host)?, &[], UnixTime::now());
    verified.map(drop).map_err(|error| explained(&error, ssl))
}

/// Why TLS could not be agreed upon.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HandshakeFailure {
    /// Nobody answers there.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody does, and not to our wishes.
    #[error("{0}")]
    Tls(#[from] Error),
}

/// Agrees upon TLS with a server, and no more: nobody logs in. The certificate that the server shows today.
pub fn handshake(
    host: &str,
    port: u16,
    ssl: &Ssl,
    limit: Duration,
) -> Result<CertificateDer<'static>, HandshakeFailure> {
    let (config, name) = (Arc::new(client(ssl)?), name(host)?);
    let unreachable = |cause: std::io::Error| HandshakeFailure::Unreachable(cause.to_string());
    let address = (host, port).to_socket_addrs().map_err(unreachable)?.next();
    let address = address.ok_or_else(|| unreachable(std::io::ErrorKind::NotFound.into()))?;
    let mut socket = TcpStream::connect_timeout(&address, limit).map_err(unreachable)?;
    socket
        .set_read_timeout(Some(limit))
        .and_then(|()| socket.set_write_timeout(Some(limit)))
        .map_err(unreachable)?;
    // PostgreSQL's SSLRequest: its length, and a number that no protocol version has.
    let request = [8_u32.to_be_bytes(), 80_877_103_u32.to_be_bytes()].concat();
    let mut answer = [0];
    socket.write_all(&request).and_then(|()| socket.read_exact(&mut answer)).map_err(unreachable)?;
    if answer != *b"S" {
        return Err(without_tls().into());
    }
    let mut tls = ClientConnection::new(config, name).map_err(|error| explained(&error, ssl))?;
    while tls.is_handshaking() {
        if let Err(cause) = tls.complete_io(&mut socket) {
            return Err(match in_io(&cause) {
                Some(error) => explained(error, ssl).into(),
                None => unreachable(cause),
            });
        }
    }
    let shown = tls.peer_certificates().and_then(|certificates| certificates.first());
    Ok(shown.ok_or_else(shows_none)?.clone().into_owned())
}

fn name(host: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Error::new(format!("\"{host}\" is no name of a server"), "give it a name or an address"))
}

fn shows_none() -> Error {
    Error::new("the server shows no certificate", "see its log")
}

/// The server has none.
pub fn without_tls() -> Error {
    Error::new(
        "the server does not speak TLS",
        "turn it on there (pg_autoctl enable ssl), or do without by name: sslmode=prefer (pg_autoctl.ssl_mode, --no-ssl)",
    )
}

/// rustls tells its reasons inside of errors of reading and writing.
pub fn in_io(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
