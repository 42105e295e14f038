//! The two forms of a connection string, taken apart as far as is needed to find parameters that tokio-postgres does not know.
use crate::{Error, Ssl};

/// A connection string without what it said about TLS, and what it said.
pub fn split(text: &str) -> Result<(String, Ssl), Error> {
    let mut ssl = Ssl::default();
    let rest = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        split_uri(text, &mut ssl)?
    } else {
        split_keywords(text, &mut ssl)?
    };
    ssl.check()?;
    Ok((rest, ssl))
}

/// A value as libpq reads it (its documentation, "Keyword/Value Connection Strings").
pub fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Whatever a URI must not hold as it is.
pub fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn split_uri(text: &str, ssl: &mut Ssl) -> Result<String, Error> {
    // A password may hold a question mark.
    let credentials = text.find('@').unwrap_or(0);
    let Some(mark) = text[credentials..].find('?').map(|mark| mark + credentials) else {
        return Ok(text.to_owned());
    };
    let mut others = Vec::new();
    for pair in text[mark + 1..].split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !ssl.take(name, &decoded(value).ok_or_else(unreadable)?)? {
            others.push(pair);
        }
    }
    let before = &text[..mark];
    Ok(if others.is_empty() { before.to_owned() } else { format!("{before}?{}", others.join("&")) })
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn split_keywords(text: &str, ssl: &mut Ssl) -> Result<String, Error> {
    let mut others = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(unreadable)?;
        let (value, after) = value(after.trim_start()).ok_or_else(unreadable)?;
        if !ssl.take(name.trim(), &value)? {
            others.push(format!("{}={}", name.trim(), quoted(&value)));
        }
        rest = after.trim_start();
    }
    Ok(others.join(" "))
}

/// The value at the start of `text`, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let (mut value, quoted) = (String::new(), text.starts_with('\''));
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            blank if blank.is_whitespace() && !quoted => return Some((value, &text[at..])),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

/// The text is not shown: it may hold a password.
fn unreadable() -> Error {
    Error::new(
        "the connection string cannot be read",
        "it looks like postgres://autoctl_node@monitor.example:5432/pg_auto_failover?sslmode=require",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SslMode;

    #[test]
    fn a_uri_gives_up_what_it_says_about_tls() {
        for (text, rest, mode) in [
            ("postgres://u@h:1/d", "postgres://u@h:1/d", SslMode::Require),
            ("postgres://u:p?w@h/d?sslmode=disable", "postgres://u:p?w@h/d", SslMode::Disable),
            (
                "postgresql://h/d?connect_timeout=3&sslmode=prefer&options=-c%20a",
                "postgresql://h/d?connect_timeout=3&options=-c%20a",
                SslMode::Prefer,
            ),
        ] {
            assert_eq!(split(text), Ok((rest.to_owned(), Ssl::of(mode))), "{text}");
        }
        let (rest, ssl) = split("postgres://h?sslmode=verify-full&sslrootcert=%2Fa%20b/ca.pem").unwrap();
        assert_eq!(rest, "postgres://h");
        assert_eq!(ssl.root_cert.as_deref(), Some("/a b/ca.pem".as_ref()));
    }

    #[test]
    fn keywords_give_up_what_they_say_about_tls() {
        let (rest, ssl) =
            split(r"host=h  password = 'it\'s' sslmode=verify-ca sslrootcert='/a b' sslcrl=/c dbname=d\ e")
                .unwrap();
        assert_eq!(rest, r"host='h' password='it\'s' dbname='d e'");
        assert_eq!(ssl.mode, SslMode::VerifyCa);
        assert_eq!(ssl.root_cert.as_deref(), Some("/a b".as_ref()));
        assert_eq!(ssl.crl.as_deref(), Some("/c".as_ref()));
    }

    #[test]
    fn nonsense_is_refused_and_not_repeated() {
        for text in
            ["hunter2", "host='hunter2", "postgres://h?sslrootcert=%zzhunter2", "host=h sslmode=verify-ca"]
        {
            let error = split(text).unwrap_err();
            assert!(!error.in_full().contains("hunter2"), "{error}");
        }
    }
}
