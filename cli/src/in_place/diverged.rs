//! The WAL that a rewind takes back: set aside first, for it is the only trace of what it says.
use super::space;
use super::work::{Interrupted, Work, aside, failed};
use crate::postgres::{Control, Postgres};
use fsm::units::{Lsn, Timeline};
use node_files::durable;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use tracing::info;

/// Copies what diverged after `fork`. Copies, for pg_rewind writes into the files that stand there.
pub fn set_aside(work: &Work, fork: Option<Lsn>) -> Result<(), Interrupted> {
    let diverged = find(&work.postgres, &work.pgdata, fork)?;
    let bytes = diverged.iter().map(|path| space::size_of(path)).sum();
    let target = aside(&work.state_dir, "wal")?;
    space::wait_for(work, &work.state_dir.aside(), bytes)?;
    fs::create_dir_all(&target).map_err(|cause| failed("create", &target, &cause))?;
    for path in &diverged {
        work.go_on()?;
        let to = target.join(path.file_name().unwrap_or_default());
        fs::copy(path, &to).map_err(|cause| failed("copy to", &to, &cause))?;
        let written = File::open(&to).and_then(|file| file.sync_all());
        written.map_err(|cause| failed("write", &to, &cause))?;
    }
    for path in [&target.join("x"), &target] {
        durable::sync_parent(path).map_err(|cause| failed("write", path, &cause))?;
    }
    info!("keeps {} files of diverged WAL in \"{}\"", diverged.len(), target.display());
    Ok(())
}

/// How much that is, in bytes on the disk.
pub fn size(postgres: &Postgres, pgdata: &Path, fork: Option<Lsn>) -> Result<u64, Interrupted> {
    Ok(find(postgres, pgdata, fork)?.iter().map(|path| space::size_of(path)).sum())
}

fn find(postgres: &Postgres, pgdata: &Path, fork: Option<Lsn>) -> Result<Vec<PathBuf>, Interrupted> {
    files(&pgdata.join("pg_wal"), fork.unwrap_or_default(), postgres.control(pgdata)?)
}

/// A segment of WAL, from its name: timeline, high half and number, eight hexadecimal digits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    timeline: Timeline,
    start: Lsn,
    end: Lsn,
}

/// Where a timeline was left for the next.
struct Switch {
    from: Timeline,
    at: Lsn,
}

fn files(directory: &Path, fork: Lsn, control: Control) -> Result<Vec<PathBuf>, Interrupted> {
    let switches = switches(directory, control.timeline)?;
    let entries = fs::read_dir(directory).map_err(|cause| failed("read", directory, &cause))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|cause| failed("read", directory, &cause))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let wanted = match segment_of(name, control.segment_size) {
            Some(segment) => {
                segment.end > fork && !is_left(segment, &switches) && holds_its_wal(&path, segment.start)?
            }
            // The ancestors' are parts of it.
            None => history_of(name).is_some_and(|timeline| timeline >= control.timeline),
        };
        if wanted {
            found.push(path);
        }
    }
    Ok(found)
}

/// A segment of an ancestor in or after which the node left it. Up to there the next timeline has its own copy of the
/// contents, and what is beyond was the affair of an earlier return.
fn is_left(segment: Segment, switches: &[Switch]) -> bool {
    switches.iter().any(|switch| switch.from == segment.timeline && switch.at < segment.end)
}

/// The first page says where it belongs. Segments kept for use in the future have the names of what will stand there,
/// and hold zeros or what stood there in the past.
fn holds_its_wal(path: &Path, start: Lsn) -> Result<bool, Interrupted> {
    // XLogPageHeaderData: two bytes each of magic and flags, the timeline in four, then the address in the machine's order.
    let mut header = [0; 16];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(cause) => return Err(failed("read", path, &cause)),
    }
    let mut address = [0; 8];
    address.copy_from_slice(&header[8..]);
    Ok(u64::from_ne_bytes(address) == start.0)
}

/// The history of a timeline, from its file: a line for each ancestor, with the place where it was left. None has no file.
fn switches(directory: &Path, timeline: Timeline) -> Result<Vec<Switch>, Interrupted> {
    let path = directory.join(format!("{:08X}.history", timeline.0));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(cause) => return Err(failed("read", &path, &cause)),
    };
    Ok(text.lines().filter_map(switch).collect())
}

fn switch(line: &str) -> Option<Switch> {
    let mut fields = line.split_whitespace();
    let from = Timeline(fields.next()?.parse().ok()?);
    Some(Switch { from, at: fields.next()?.parse().ok()? })
}

fn history_of(name: &str) -> Option<Timeline> {
    Some(Timeline(u32::from_str_radix(name.strip_suffix(".history")?, 16).ok()?))
}

fn segment_of(name: &str, size: u64) -> Option<Segment> {
    let name = name.strip_suffix(".partial").unwrap_or(name);
    if name.len() != 24 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let part = |from: usize| u64::from_str_radix(&name[from..from + 8], 16).ok();
    let timeline = Timeline(u32::try_from(part(0)?).ok()?);
    let start = (part(8)? << 32) + part(16)? * size;
    Some(Segment { timeline, start: Lsn(start), end: Lsn(start + size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB16: u64 = 16 << 20;

    #[test]
    fn a_segment_tells_where_it_is() {
        let at =
            |name: &str| segment_of(name, MIB16).map(|found| (found.timeline.0, found.start.0, found.end.0));
        assert_eq!(at("000000010000000000000003"), Some((1, 0x0300_0000, 0x0400_0000)));
        assert_eq!(at("0000000200000001000000FF"), Some((2, 0x1_FF00_0000, 0x2_0000_0000)));
        assert_eq!(at("0000000200000001000000FF.partial"), at("0000000200000001000000FF"));
        for other in ["archive_status", "00000002.history", "", "00000001000000000000000g"] {
            assert_eq!(at(other), None, "{other}");
        }
    }

    fn segment(directory: &Path, name: &str, address: u64) {
        let mut page = vec![0; 8192];
        page[8..16].copy_from_slice(&address.to_ne_bytes());
        fs::write(directory.join(name), page).unwrap();
    }

    #[test]
    fn only_what_diverged_is_set_aside() {
        let parent = tempfile::tempdir().unwrap();
        let wal = parent.path();
        fs::write(wal.join("00000002.history"), "1\t0/3800000\tno recovery target specified\n").unwrap();
        fs::write(
            wal.join("00000003.history"),
            "1\t0/3800000\tno recovery target specified\n\n2\t0/5100000\tno recovery target specified\n",
        )
        .unwrap();
        segment(wal, "000000010000000000000002", 0x0200_0000);
        segment(wal, "000000010000000000000003", 0x0300_0000);
        segment(wal, "000000020000000000000003", 0x0300_0000);
        segment(wal, "000000020000000000000004", 0x0400_0000);
        segment(wal, "000000020000000000000005", 0x0500_0000);
        segment(wal, "000000030000000000000005", 0x0500_0000);
        segment(wal, "000000030000000000000006", 0x0600_0000);
        // Recycled, and made in advance.
        segment(wal, "000000030000000000000007", 0x0200_0000);
        segment(wal, "000000030000000000000008", 0);
        fs::create_dir(wal.join("archive_status")).unwrap();
        let names = |fork, timeline| {
            let control = Control {
                system_identifier: 1,
                segment_size: MIB16,
                timeline: Timeline(timeline),
                in_recovery: false,
            };
            let mut names: Vec<_> = files(wal, Lsn(fork), control)
                .unwrap()
                .into_iter()
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        let last = ["00000003.history", "000000030000000000000005", "000000030000000000000006"];
        assert_eq!(names(0x0580_0000, 3), last);
        // The fork is on an ancestor: all since then.
        assert_eq!(
            names(0x0480_0000, 3),
            [
                "000000020000000000000004",
                "00000003.history",
                "000000030000000000000005",
                "000000030000000000000006",
            ]
        );
        // Promoted, and no checkpoint yet: what the control file does not know of is kept.
        assert_eq!(
            names(0x0580_0000, 2),
            [
                "00000002.history",
                "000000020000000000000005",
                "00000003.history",
                "000000030000000000000005",
                "000000030000000000000006",
            ]
        );
    }
}
