//! The text of PostgreSQL's configuration files. Pure: text in, text out.
//!
//! Ours stands in one marked block at the end of postgresql.conf: it can be read, the user's own lines below it win,
//! and `ALTER SYSTEM` (which is `config set`) wins over both.

/// Before our block, in this file and in others.
pub const BEGIN: &str = "# pg_autoctl begin";
/// After it.
pub const END: &str = "# pg_autoctl end";

/// `text` with our block replaced, or added at its end.
pub fn with_block(text: &str, lines: &[String]) -> String {
    let block = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
    if let Some((before, rest)) = text.split_once(&format!("{BEGIN}\n"))
        && let Some((_, after)) = rest.split_once(&format!("{END}\n"))
    {
        return format!("{before}{block}{after}");
    }
    let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
    format!("{text}{gap}{block}")
}

/// `text` with these settings in our block, each once; what else stands there stays.
pub fn with_in_block(text: &str, settings: &[(&str, String)]) -> String {
    let block =
        text.split_once(&format!("{BEGIN}\n")).and_then(|(_, rest)| rest.split_once(&format!("{END}\n")));
    let lines = with(block.map_or("", |(block, _)| block), settings);
    with_block(text, &lines.lines().map(str::to_owned).collect::<Vec<_>>())
}

/// Whether a line sets that name.
fn sets(line: &str, name: &str) -> bool {
    line.split('=').next().unwrap_or_default().trim().eq_ignore_ascii_case(name)
}

/// A line of postgresql.conf.
pub fn line(name: &str, value: &str) -> String {
    format!("{name} = {}", quote(value))
}

/// `text` without any line that sets one of `names`.
pub fn without(text: &str, names: &[&str]) -> String {
    let keep = |line: &&str| !names.iter().any(|name| sets(line, name));
    text.lines().filter(keep).map(|line| format!("{line}\n")).collect()
}

/// `text` with these settings, each once, at its end.
pub fn with(text: &str, settings: &[(&str, String)]) -> String {
    let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    let added: String = settings.iter().map(|(name, value)| line(name, value) + "\n").collect();
    without(text, &names) + &added
}

/// The value that the last line for `name` gives it.
pub fn value_of(text: &str, name: &str) -> Option<String> {
    let setting = |line: &str| {
        let (found, value) = line.split_once('=')?;
        let value = value.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.replace("''", "'").replace("\\\\", "\\"))
    };
    text.lines().rev().find_map(setting)
}

/// A list of libraries with ours in front.
pub fn with_library(list: &str, library: &str) -> String {
    let others = list.split(',').map(str::trim).filter(|other| !other.is_empty() && *other != library);
    std::iter::once(library).chain(others).collect::<Vec<_>>().join(", ")
}

/// A list of directories, one of which may hold a comma or a blank.
pub fn directory_list(directories: &[&std::path::Path]) -> String {
    let quoted = directories.iter().map(|directory| {
        let text = directory.to_string_lossy();
        if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) {
            text.into_owned()
        } else {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
    });
    quoted.collect::<Vec<_>>().join(", ")
}

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_added_once_and_replaced_after() {
        let first = with_block("port = 1\n", &[line("port", "2")]);
        assert_eq!(first, "port = 1\n\n# pg_autoctl begin\nport = '2'\n# pg_autoctl end\n");
        let edited = format!("{first}port = 4\n");
        let second = with_block(&edited, &[line("port", "3")]);
        assert_eq!(second, "port = 1\n\n# pg_autoctl begin\nport = '3'\n# pg_autoctl end\nport = 4\n");
    }

    #[test]
    fn a_setting_of_the_block_is_replaced_in_it() {
        let text =
            "ssl = off\n# pg_autoctl begin\nport = '2'\nssl = 'off'\n# pg_autoctl end\nwork_mem = '8MB'\n";
        let expected =
            "ssl = off\n# pg_autoctl begin\nport = '2'\nssl = 'on'\n# pg_autoctl end\nwork_mem = '8MB'\n";
        assert_eq!(with_in_block(text, &[("ssl", "on".into())]), expected);
    }

    #[test]
    fn settings_are_replaced_whatever_their_case() {
        let text = "# comment\nPrimary_ConnInfo = 'host=a'\nwork_mem = '8MB'\n";
        let expected = "# comment\nwork_mem = '8MB'\nprimary_conninfo = 'host=''b'''\n";
        assert_eq!(with(text, &[("primary_conninfo", "host='b'".into())]), expected);
    }

    #[test]
    fn the_last_line_for_a_name_counts() {
        let text = "a.b = 'one'\n#a.b = 'no'\nA.b = 'it''s'\nc = 3\n";
        assert_eq!(value_of(text, "a.b").as_deref(), Some("it's"));
        assert_eq!(value_of(text, "d"), None);
    }

    #[test]
    fn our_library_comes_first_and_once() {
        assert_eq!(with_library("", "pg_autoctl"), "pg_autoctl");
        assert_eq!(
            with_library("pg_stat_statements, pg_autoctl", "pg_autoctl"),
            "pg_autoctl, pg_stat_statements"
        );
    }

    #[test]
    fn odd_names_are_quoted() {
        let list = directory_list(&["/srv/a.autoctl".as_ref(), "/srv/b, c".as_ref()]);
        assert_eq!(list, "/srv/a.autoctl, \"/srv/b, c\"");
    }
}
