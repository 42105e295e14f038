//! The arguments of a postmaster, so that the next life can have the same.
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The postmaster's options that take a value.
const WITH_VALUE: &[u8] = b"BcCDdfhkNprStW-";

/// Where things are that the arguments may have named relative to a directory which nobody knows any more: the
/// postmaster has gone to PGDATA.
pub struct Places {
    /// PGDATA, absolute.
    pub data: PathBuf,
    /// The configuration file, absolute.
    pub config: PathBuf,
    /// pg_hba.conf, absolute.
    pub hba: PathBuf,
    /// pg_ident.conf, absolute.
    pub ident: PathBuf,
}

impl Places {
    /// What -D or the variable PGDATA meant: with a configuration kept elsewhere, the place of that.
    pub fn configuration_directory(&self) -> &Path {
        self.config.parent().unwrap_or(&self.data)
    }
}

/// One option as getopt sees it.
struct Opt<'a> {
    letter: u8,
    value: Option<&'a [u8]>,
    /// Where the value stands: in which argument, from which byte on.
    at: (usize, usize),
}

/// The arguments in /proc/self/cmdline, without the program's name.
pub fn split(cmdline: &[u8]) -> Vec<OsString> {
    let cmdline = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    cmdline.split(|byte| *byte == 0).skip(1).map(|argument| OsString::from_vec(argument.to_vec())).collect()
}

/// It is `postgres -C name`: prints one setting and leaves.
pub fn only_prints_a_setting(arguments: &[OsString]) -> bool {
    options(arguments).iter().any(|option| option.letter == b'C')
}

/// The same arguments, with absolute paths.
pub fn absolute(arguments: Vec<OsString>, places: &Places) -> Vec<OsString> {
    let mut changes = Vec::new();
    for option in options(&arguments) {
        let Some(value) = option.value else { continue };
        let (name_length, path, replacement) = match option.letter {
            b'D' => (0, value, places.configuration_directory()),
            b'c' | b'-' => {
                let Some(equals) = value.iter().position(|byte| *byte == b'=') else { continue };
                // PostgreSQL reads --config-file as config_file.
                let name = String::from_utf8_lossy(&value[..equals]).to_ascii_lowercase().replace('-', "_");
                let replacement = match name.as_str() {
                    "data_directory" => &places.data,
                    "config_file" => &places.config,
                    "hba_file" => &places.hba,
                    "ident_file" => &places.ident,
                    _ => continue,
                };
                (equals + 1, &value[equals + 1..], replacement.as_path())
            }
            _ => continue,
        };
        if Path::new(OsStr::from_bytes(path)).is_relative() {
            let (argument, from) = option.at;
            changes.push((argument, from + name_length, replacement.to_owned()));
        }
    }
    let mut arguments = arguments;
    for (argument, keep, path) in changes {
        let mut bytes = arguments[argument].as_bytes()[..keep].to_vec();
        bytes.extend_from_slice(path.as_os_str().as_bytes());
        arguments[argument] = OsString::from_vec(bytes);
    }
    arguments
}

fn options(arguments: &[OsString]) -> Vec<Opt<'_>> {
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(argument) = arguments.get(next).map(|argument| argument.as_bytes()) {
        let here = next;
        next += 1;
        if argument == b"--" || argument.first() != Some(&b'-') {
            break;
        }
        let mut position = 1;
        while let Some(&letter) = argument.get(position) {
            position += 1;
            if !WITH_VALUE.contains(&letter) {
                found.push(Opt { letter, value: None, at: (here, position) });
                continue;
            }
            if position < argument.len() {
                found.push(Opt { letter, value: Some(&argument[position..]), at: (here, position) });
            } else {
                let value = arguments.get(next).map(|argument| argument.as_bytes());
                found.push(Opt { letter, value, at: (next, 0) });
                next += 1;
            }
            break;
        }
    }
    found
}
