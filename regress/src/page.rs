//! Pages of documentation. Their commands are run as they stand there, in order and in one shell, as a reader types
//! them; what a page shows as output is compared with what came.
//!
//! ```text
//! sh       run by bash
//! sql      typed into psql, connected to the monitor
//! output   what the block before it has printed: these lines, in this order; … stands for anything
//! text     not run: files, other machines
//! ```
use crate::address::Place;
use crate::cluster::Cluster;
use crate::deadlines::PAGE;
use crate::install::repository;
use crate::{process, server};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What readers see, and whose address and port a run of the page takes instead.
const SHOWN_HOST: &str = "127.0.0.1";
const SHOWN_PORTS: [(&str, Place); 7] = [
    ("6000", Place::Monitor),
    ("6001", Place::Node(1)),
    ("6002", Place::Node(2)),
    ("6003", Place::Node(3)),
    ("6004", Place::Node(4)),
    ("6005", Place::Node(5)),
    ("6010", Place::Node(8)),
];
/// Precedes each block's output.
const MARK: &str = "@@ line ";

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// Where it begins, counted from 1.
    line: usize,
    language: String,
    text: String,
}

/// A page of documentation.
pub struct Page {
    name: String,
    blocks: Vec<Block>,
}

impl Page {
    /// Reads a page, named from the root of the repository.
    pub fn read(name: &str) -> Page {
        let text = fs::read_to_string(repository().join(name))
            .unwrap_or_else(|error| panic!("reading {name}: {error}"));
        Page { name: name.to_owned(), blocks: blocks(name, &text) }
    }

    /// Runs the page on addresses of its own, and returns what it printed. Panics at the first command that fails,
    /// and where the page shows something else than what came.
    pub fn run(&self) -> String {
        let title = self.name.rsplit('/').next().and_then(|file| file.split('.').next()).unwrap_or("page");
        // Only its addresses and its directory are used: they keep this run out of the way of others on the machine.
        let cluster = Cluster::empty(&title[..title.len().min(10)]);
        let script = placed(&self.script(), &cluster);
        let shell = cluster.run_within(
            PAGE,
            cluster.monitor.account.command("bash").args(["-c", &script]).env("TMPDIR", cluster.directory()),
        );
        let left = stop_servers(cluster.directory());
        let printed = String::from_utf8_lossy(&shell.stdout).into_owned();
        let sections = sections(&printed);
        let last = sections.last().map_or(0, |(line, _)| *line);
        assert!(
            shell.status.success(),
            "{}:{last}: a command of this block failed: {}",
            self.name,
            server::text(&shell)
        );
        assert!(left.is_empty(), "{} leaves servers running: {left:?}", self.name);
        for pair in self.blocks.windows(2).filter(|pair| pair[1].language == "output") {
            let came = sections.iter().find(|(line, _)| *line == pair[0].line).map_or("", |(_, text)| text);
            if let Err(missing) = shows(&placed(&pair[1].text, &cluster), came) {
                panic!("{}:{}: \"{missing}\" did not come; this did: {came}", self.name, pair[1].line);
            }
        }
        printed
    }

    fn script(&self) -> String {
        let mut script = "set -euxo pipefail\n".to_owned();
        for block in &self.blocks {
            // Writing to a string cannot fail.
            let _ = match block.language.as_str() {
                "sh" => write!(script, "echo '{MARK}{}'\n{}", block.line, block.text),
                "sql" => write!(
                    script,
                    "echo '{MARK}{}'\npsql -X -v ON_ERROR_STOP=1 \"$PG_AUTOCTL_MONITOR\" <<'END OF BLOCK'\n{}END OF BLOCK\n",
                    block.line, block.text
                ),
                _ => Ok(()),
            };
        }
        script
    }
}

fn blocks(name: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                let known = ["sh", "sql", "output", "text"].contains(&language);
                assert!(known, "{name}:{}: a block of language \"{language}\"", number + 1);
                open = true;
                blocks.push(Block { line: number + 1, language: language.to_owned(), text: String::new() });
            }
            None if open => {
                if let Some(block) = blocks.last_mut() {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
            }
            None => {}
        }
    }
    assert!(!open, "{name}: the last block does not end");
    blocks
}

/// The same text with this cluster's addresses.
fn placed(text: &str, cluster: &Cluster) -> String {
    let text = text
        .replace(SHOWN_HOST, &cluster.monitor.host)
        .replace("$(pg_config --bindir)", &cluster.programs().to_string_lossy());
    SHOWN_PORTS
        .iter()
        .fold(text, |text, (shown, place)| text.replace(shown, &cluster.port(*place).to_string()))
}

/// What each block printed, by the line at which the block begins.
fn sections(printed: &str) -> Vec<(usize, String)> {
    let mut sections = Vec::new();
    for line in printed.lines() {
        match line.strip_prefix(MARK).and_then(|number| number.parse().ok()) {
            Some(number) => sections.push((number, String::new())),
            None => {
                if let Some((_, section)) = sections.last_mut() {
                    section.push_str(line);
                    section.push('\n');
                }
            }
        }
    }
    sections
}

/// Whether every line shown came, in this order; else the first that did not.
fn shows<'a>(shown: &'a str, came: &str) -> Result<(), &'a str> {
    let mut came = came.lines();
    shown
        .lines()
        .filter(|line| !line.trim().is_empty())
        .try_for_each(|line| if came.any(|other| is_like(line, other)) { Ok(()) } else { Err(line) })
}

/// Columns are as wide as what stands in them, so the number of blanks says nothing.
fn is_like(shown: &str, came: &str) -> bool {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, came) = (words(shown), words(came));
    let parts: Vec<&str> = shown.split('…').map(str::trim).collect();
    let [first, middle @ .., last] = &parts[..] else { return shown == came };
    let Some(rest) = came.strip_prefix(first) else { return false };
    let after = |rest: &str, part: &str| rest.find(part).map(|at| rest[at + part.len()..].to_owned());
    middle
        .iter()
        .try_fold(rest.to_owned(), |rest, part| after(&rest, part))
        .is_some_and(|rest| rest.ends_with(last))
}

/// A page stops its servers itself; when it failed half-way, each lock file below its directory names one.
fn stop_servers(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(stop_servers(&path));
        } else if entry.file_name() == "postmaster.pid" {
            let lock = fs::read_to_string(&path).unwrap_or_default();
            let pid = lock.lines().next().and_then(|line| line.parse().ok());
            if let Some(pid) = pid.filter(|pid| process::is_alive(*pid)) {
                process::kill_tree(pid);
                found.push(format!("{} ({pid})", directory.display()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_language() {
        let page = "Text\n```sh\na\nb\n```\nmore\n```output\nc\n```\n";
        let found = blocks("page", page);
        assert_eq!(found[0], Block { line: 2, language: "sh".to_owned(), text: "a\nb\n".to_owned() });
        assert_eq!((found[1].line, found[1].language.as_str(), found.len()), (7, "output", 2));
    }

    #[test]
    #[should_panic(expected = "a block of language \"bash\"")]
    fn a_block_that_nobody_would_run_is_refused() {
        blocks("page", "```bash\nrm\n```\n");
    }

    #[test]
    fn what_is_shown_must_have_come() {
        let came = "  node_1 | 0/3000060 | primary\n node_2 | 0/3000060  |  secondary\n";
        assert_eq!(shows("node_1 | … | primary\nnode_2 | … | secondary\n", came), Ok(()));
        assert_eq!(shows("node_2 …\nnode_1 …\n", came), Err("node_1 …"));
        assert_eq!(shows("node_1 | … | second\n", came), Err("node_1 | … | second"));
        assert_eq!(shows("… | primary\n", came), Ok(()));
        assert_eq!(shows("node_1\n", came), Err("node_1"));
    }

    #[test]
    fn what_was_printed_belongs_to_its_block() {
        let printed = format!("{MARK}3\na\nb\n{MARK}9\nc\n");
        assert_eq!(sections(&printed), [(3, "a\nb\n".to_owned()), (9, "c\n".to_owned())]);
    }
}
