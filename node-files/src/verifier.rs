//! Whether a SCRAM verifier, as PostgreSQL keeps it, was made from a password: a new one of the same password has another salt.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use sha2::Sha256;

/// True when who knows `password` is let in by `verifier`. What cannot be read lets nobody in.
pub fn proves(password: &str, verifier: &str) -> bool {
    log_in(password, verifier).is_some()
}

/// Plays both sides of a log-in (RFC 5802): the client ends well only when the server has proved that its key is of that password.
fn log_in(password: &str, verifier: &str) -> Option<()> {
    let (parameters, keys) = verifier.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let server_key = STANDARD.decode(keys.split_once(':')?.1).ok()?;
    let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let client_first = std::str::from_utf8(client.message()).ok()?.strip_prefix("n,,")?.to_owned();
    let nonce = client_first.split_once(",r=")?.1;
    let server_first = format!("r={nonce}+,s={salt},i={iterations}");
    client.update(server_first.as_bytes()).ok()?;
    let client_final = std::str::from_utf8(client.message()).ok()?.rsplit_once(",p=")?.0.to_owned();
    let mut signature = Hmac::<Sha256>::new_from_slice(&server_key).ok()?;
    signature.update(format!("{client_first},{server_first},{client_final}").as_bytes());
    let server_final = format!("v={}", STANDARD.encode(signature.finalize().into_bytes()));
    client.finish(server_final.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::password::scram_sha_256;

    #[test]
    fn only_its_own_password_is_proved() {
        let verifier = scram_sha_256(b"0123abc");
        assert!(proves("0123abc", &verifier));
        assert!(!proves("0123abd", &verifier));
        for broken in
            ["", "md5abc", "SCRAM-SHA-256$4096:x", "SCRAM-SHA-256$0:c2FsdA==$a:b", "SCRAM-SHA-256$a:b$c:d"]
        {
            assert!(!proves("0123abc", broken), "{broken}");
        }
    }
}
