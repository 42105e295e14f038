//! Images of a server's disk, taken and put back while it does not run: what a virtual machine's snapshot holds.
use crate::server::{Server, text};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of the data directory, or of what is kept beside it too.
#[derive(Clone, Debug)]
pub struct Image {
    directories: Vec<(PathBuf, PathBuf)>,
}

impl Server {
    /// Copies what is on its disk, everybody's files remaining theirs.
    pub fn take_image(&self) -> Image {
        self.copies(".image", vec![self.pgdata.clone(), self.state_dir()])
    }

    /// Copies its data directory alone, as backups do.
    pub fn take_backup(&self) -> Image {
        self.copies(".backup", vec![self.pgdata.clone()])
    }

    fn copies(&self, suffix: &str, directories: Vec<PathBuf>) -> Image {
        assert!(self.running().is_none(), "{} runs; a copy of it would not be whole", self.name);
        let taken = directories.into_iter().map(|directory| {
            let mut name = directory.clone().into_os_string();
            name.push(suffix);
            let copy = PathBuf::from(name);
            replace(&copy, &directory);
            (directory, copy)
        });
        Image { directories: taken.collect() }
    }

    /// Puts it back in place of what is there now.
    pub fn restore(&self, image: &Image) {
        assert!(self.running().is_none(), "{} runs; stop it before its disk is replaced", self.name);
        for (directory, copy) in &image.directories {
            replace(directory, copy);
        }
    }
}

fn replace(directory: &Path, by: &Path) {
    if directory.exists() {
        fs::remove_dir_all(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    }
    if by.exists() {
        let output =
            std::process::Command::new("cp").arg("-a").arg(by).arg(directory).output().expect("running cp");
        assert!(output.status.success(), "copying {}: {}", by.display(), text(&output));
    }
}
