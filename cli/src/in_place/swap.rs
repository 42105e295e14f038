//! Puts a new directory in the place of PGDATA. The old one is kept, whenever we are interrupted (law 7).
use super::work::{Interrupted, aside, failed};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use node_files::{StateDir, durable};
use std::fs;
use std::path::{Path, PathBuf};

/// Refuses a PGDATA that no rename can replace, before anything is copied for nothing.
pub fn check(pgdata: &Path, state_dir: &StateDir) -> Result<(), Interrupted> {
    let pgdata = real(pgdata)?;
    let aside = state_dir.aside();
    fs::create_dir_all(&aside).map_err(|cause| failed("create", &aside, &cause))?;
    for directory in [state_dir.path(), &aside] {
        let probe = directory.join("probe");
        let content = probe.join("keeps-it-from-being-replaced");
        fs::create_dir_all(&content).map_err(|cause| failed("create", &content, &cause))?;
        // Cannot succeed, for the target is not empty; but the system looks at mounts and rights before it finds that out.
        let tried = nix::fcntl::renameat(AT_FDCWD, &pgdata, AT_FDCWD, &probe);
        fs::remove_dir_all(&probe).map_err(|cause| failed("remove", &probe, &cause))?;
        match tried {
            Ok(()) | Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            Err(cause) => return Err(Interrupted::Failed(refusal(&pgdata, directory, cause))),
        }
    }
    Ok(())
}

fn refusal(pgdata: &Path, directory: &Path, cause: Errno) -> String {
    let (pgdata, directory) = (pgdata.display(), directory.display());
    if cause == Errno::EBUSY {
        return format!(
            "\"{pgdata}\" must be replaced by a new copy and is a mount point, which cannot be replaced; drop the node and make \
             it anew in a directory below the mount point (pg_autoctl drop node, pg_autoctl create postgres)"
        );
    }
    if cause == Errno::EXDEV {
        return format!(
            "\"{pgdata}\" must be replaced by a new copy, and \"{directory}\" is on another file system, so that nothing can be \
             moved between them; move that directory to the file system of PGDATA, name its new place in pg_autoctl.state_dir, \
             and start the server again"
        );
    }
    format!(
        "\"{pgdata}\" must be replaced by a new copy and cannot be moved to \"{directory}\" ({}); let the server's user write in \
         the directories that hold them, and start the server again",
        cause.desc()
    )
}

/// Replaces PGDATA by the copy at `incoming`, which is whole and on the disk. Returns where the old one is.
///
/// What stands at `incoming` is removed by the next helper, so the old directory must never come there: the copy goes
/// to the place under `aside` first, and changes places with PGDATA from there. Interrupted in between, a copy stays
/// in `aside`, and another is made.
pub fn swap(pgdata: &Path, incoming: &Path, state_dir: &StateDir) -> Result<PathBuf, Interrupted> {
    let pgdata = real(pgdata)?;
    let kept = aside(state_dir, "pgdata")?;
    move_durably(incoming, &kept)?;
    exchange(&kept, &pgdata, state_dir)
}

/// In one step, so that at no moment there is no PGDATA.
fn exchange(copy: &Path, pgdata: &Path, state_dir: &StateDir) -> Result<PathBuf, Interrupted> {
    match renameat2(AT_FDCWD, copy, AT_FDCWD, pgdata, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => {
            for path in [pgdata, copy] {
                durable::sync_parent(path).map_err(|cause| failed("write", path, &cause))?;
            }
            Ok(copy.to_path_buf())
        }
        // A file system without that call.
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            let old = aside(state_dir, "pgdata")?;
            move_durably(pgdata, &old)?;
            move_durably(copy, pgdata)?;
            Ok(old)
        }
        Err(cause) => Err(failed("replace", pgdata, &cause.into())),
    }
}

fn move_durably(from: &Path, to: &Path) -> Result<(), Interrupted> {
    fs::rename(from, to).map_err(|cause| failed("create", to, &cause))?;
    for path in [to, from] {
        durable::sync_parent(path).map_err(|cause| failed("write", path, &cause))?;
    }
    Ok(())
}

/// A link to PGDATA stays; what it leads to is replaced.
fn real(pgdata: &Path) -> Result<PathBuf, Interrupted> {
    fs::canonicalize(pgdata).map_err(|cause| failed("find", pgdata, &cause))
}

#[cfg(test)]
mod tests {
    use super::super::clone::{incoming, room};
    use super::*;

    struct Node {
        parent: tempfile::TempDir,
        pgdata: PathBuf,
        state_dir: StateDir,
    }

    fn node() -> Node {
        let parent = tempfile::tempdir().unwrap();
        let pgdata = parent.path().join("data");
        let state_dir = StateDir::beside(&pgdata);
        state_dir.create().unwrap();
        make(&pgdata, "old");
        make(&incoming(&state_dir), "new");
        Node { parent, pgdata, state_dir }
    }

    fn make(directory: &Path, content: &str) {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("commits"), content).unwrap();
    }

    fn content(directory: &Path) -> String {
        fs::read_to_string(directory.join("commits")).unwrap()
    }

    fn contents_aside(node: &Node) -> Vec<String> {
        let entries = fs::read_dir(node.state_dir.aside()).into_iter().flatten().flatten();
        let mut contents: Vec<_> = entries.map(|entry| content(&entry.path())).collect();
        contents.sort();
        contents
    }

    /// What a helper does that finds the marker of an unfinished copy: all of it again.
    fn begin_again(node: &Node) {
        room(&node.state_dir).unwrap();
        make(&incoming(&node.state_dir), "newer");
        swap(&node.pgdata, &incoming(&node.state_dir), &node.state_dir).unwrap();
        assert_eq!(content(&node.pgdata), "newer");
    }

    #[test]
    fn the_old_directory_is_kept() {
        let node = node();
        check(&node.pgdata, &node.state_dir).unwrap();
        let kept = swap(&node.pgdata, &incoming(&node.state_dir), &node.state_dir).unwrap();
        assert_eq!((content(&node.pgdata).as_str(), content(&kept).as_str()), ("new", "old"));
        assert!(!incoming(&node.state_dir).exists());
    }

    #[test]
    fn interrupted_before_the_copy_is_in_aside() {
        let node = node();
        begin_again(&node);
        assert_eq!(contents_aside(&node), ["old"]);
    }

    #[test]
    fn interrupted_before_the_exchange() {
        let node = node();
        let kept = aside(&node.state_dir, "pgdata").unwrap();
        move_durably(&incoming(&node.state_dir), &kept).unwrap();
        assert_eq!(content(&node.pgdata), "old");
        begin_again(&node);
        assert_eq!(contents_aside(&node), ["new", "old"]);
    }

    #[test]
    fn interrupted_after_the_exchange() {
        let node = node();
        swap(&node.pgdata, &incoming(&node.state_dir), &node.state_dir).unwrap();
        begin_again(&node);
        assert_eq!(contents_aside(&node), ["new", "old"]);
    }

    #[test]
    fn a_link_stays_a_link() {
        let node = node();
        let link = node.parent.path().join("link");
        std::os::unix::fs::symlink(&node.pgdata, &link).unwrap();
        check(&link, &node.state_dir).unwrap();
        swap(&link, &incoming(&node.state_dir), &node.state_dir).unwrap();
        assert!(link.is_symlink());
        assert_eq!(content(&link), "new");
    }

    #[test]
    fn another_file_system_is_refused_before_anything_is_copied() {
        let elsewhere = Path::new("/dev/shm");
        let Ok(elsewhere) = tempfile::tempdir_in(elsewhere) else { return };
        let node = node();
        let state_dir = StateDir::at(elsewhere.path().join("state"));
        state_dir.create().unwrap();
        let refused = check(&node.pgdata, &state_dir);
        assert!(
            matches!(&refused, Err(Interrupted::Failed(why)) if why.contains("another file system")),
            "{refused:?}"
        );
        assert_eq!(content(&node.pgdata), "old");
    }
}
