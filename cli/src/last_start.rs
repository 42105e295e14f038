//! How a server was started last, as `postmaster.opts` tells it. Debian keeps the configuration outside of PGDATA, and then
//! nothing but these arguments says where.
use std::path::Path;

/// The arguments of the last start, without the data directory.
pub fn arguments(pgdata: &Path) -> Vec<String> {
    parse(&std::fs::read_to_string(pgdata.join("postmaster.opts")).unwrap_or_default())
}

/// What a server must be told beside its directory to find its configuration: nothing, when that stands in PGDATA.
pub fn way_to_configuration(pgdata: &Path) -> Option<String> {
    if pgdata.join("postgresql.conf").exists() {
        return None;
    }
    let named =
        |argument: &String| argument.strip_prefix("--").unwrap_or(argument).starts_with("config_file=");
    let argument = arguments(pgdata).into_iter().find(named)?;
    Some(argument.trim_start_matches("--").to_owned())
}

/// The program, then each argument between quotes that nothing escapes.
fn parse(text: &str) -> Vec<String> {
    let Some((_, quoted)) = text.trim().split_once(" \"") else { return Vec::new() };
    let mut arguments = quoted.trim_end_matches('"').split("\" \"").map(str::to_owned);
    let mut kept = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "-D" {
            arguments.next();
        } else if !argument.starts_with("-D") {
            kept.push(argument);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_taken_apart() {
        let text = "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/var/lib/my data\" \"-c\" \"config_file=/etc/p.conf\" \"-p\" \"5433\"\n";
        assert_eq!(parse(text), ["-c", "config_file=/etc/p.conf", "-p", "5433"]);
        assert_eq!(parse("/bin/postgres \"-D/data\"\n"), Vec::<String>::new());
        assert_eq!(parse("/bin/postgres\n"), Vec::<String>::new());
    }

    #[test]
    fn the_way_is_told_only_when_it_is_needed() {
        let pgdata = tempfile::tempdir().unwrap();
        let opts = "/bin/postgres \"-D\" \"/d\" \"--config_file=/etc/p.conf\"\n";
        std::fs::write(pgdata.path().join("postmaster.opts"), opts).unwrap();
        assert_eq!(way_to_configuration(pgdata.path()).as_deref(), Some("config_file=/etc/p.conf"));
        std::fs::write(pgdata.path().join("postgresql.conf"), "").unwrap();
        assert_eq!(way_to_configuration(pgdata.path()), None);
    }
}
