//! The house's own rules, kept by a test.
use regress::install::repository;
use std::fs;
use std::path::{Path, PathBuf};

const LONGEST: usize = 500;
const NAMES_THAT_SAY_NOTHING: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "types", "misc", "mod"];

fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let root = repository();
    for part in ["fsm", "node-files", "ext-monitor", "ext-keeper", "cli", "regress", "sql"] {
        collect(&root.join(part), extension, &mut found);
    }
    assert!(!found.is_empty(), "no .{extension} files; is this the repository?");
    found.sort();
    found
}

fn collect(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_symlink() || path.file_name().is_some_and(|name| name == "target") {
            continue;
        }
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).expect("file names are UTF-8")
}

/// Fails with all that was found, so that one run shows everything.
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn files_fit_in_the_head() {
    let long: Vec<String> = [files("rs"), files("sql")]
        .concat()
        .iter()
        .map(|path| (path, read(path).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    none("files of more than 500 lines", &long);
}

#[test]
fn names_say_something() {
    let vague: Vec<String> = files("rs")
        .iter()
        .filter(|path| NAMES_THAT_SAY_NOTHING.contains(&stem(path)))
        .map(|path| path.display().to_string())
        .collect();
    none("files named for nothing in particular", &vague);
}

#[test]
fn unsafe_code_stands_in_one_module_of_each_extension() {
    // Put together here, so that this file does not find itself.
    let (keyword, allowed) = (["uns", "afe"].concat(), ["allow(uns", "afe_code)"].concat());
    let marks = [format!("{keyword} {{"), format!("{keyword} fn "), format!("{keyword} impl "), allowed];
    let found: Vec<String> = files("rs")
        .iter()
        .filter(|path| !is_pg_module(path) && marks.iter().any(|mark| code_of(path).contains(mark)))
        .map(|path| path.display().to_string())
        .collect();
    none("unsafe code outside pg.rs", &found);
}

/// `pg.rs`, and what lies in `pg/`, its parts.
fn is_pg_module(path: &Path) -> bool {
    let parent = path.parent().expect("a file lies in a directory");
    (stem(path) == "pg" && parent.ends_with("src")) || parent.ends_with("src/pg")
}

/// The file without its comments.
fn code_of(path: &Path) -> String {
    read(path).lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_topic_of_sql_is_installed() {
    for part in ["monitor", "keeper"] {
        let directory = repository().join("sql").join(part);
        let order = read(&directory.join("order"));
        let mut listed: Vec<&str> =
            order.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        listed.sort();
        let mut present: Vec<String> = fs::read_dir(&directory)
            .expect("reading sql/")
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "sql"))
            .map(|path| stem(&path).to_owned())
            .collect();
        present.sort();
        assert_eq!(listed, present, "sql/{part}/order names what sql/{part}/ holds, each once");
    }
}

#[test]
fn every_scenario_is_run() {
    let directory = repository().join("regress/tests/cluster");
    let main = read(&directory.join("main.rs"));
    let forgotten: Vec<String> = fs::read_dir(&directory)
        .expect("reading the scenarios")
        .flatten()
        .map(|entry| stem(&entry.path()).to_owned())
        .filter(|name| name != "main" && !main.contains(&format!("mod {name};")))
        .collect();
    none("scenarios that main.rs does not name", &forgotten);
}
