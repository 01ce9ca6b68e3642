//! Who may start and stop the server of a data directory.
//!
//! `serve.lock` is held by `serve` for its life, by a command only while it starts or stops the server.
//! `commands.lock` is shared by all commands at work: the last one to leave stops a server that no `serve` owns.
//! The system releases both when a process ends, however it ends.

use super::{EmbeddedError, io};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

const SERVE: &str = "serve.lock";
const COMMANDS: &str = "commands.lock";

/// A lock that ends with this value.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// A program that another thread is just starting holds a copy of the file until its exec, and the lock with it: closing
    /// ours would not release it.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// What a process holds `serve.lock` for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// For its life.
    Serve,
    /// For the moments of a start or a stop.
    Command,
}

/// The holder of `serve.lock`, as it wrote there itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) kind: Kind,
    pub(super) pid: u32,
}

/// The outcome of a try to lock.
#[derive(Debug)]
pub(super) enum Attempt {
    /// We hold it.
    Held(Lock),
    /// Another holds it; `None` in the moment before it has written its name.
    Busy(Option<Holder>),
}

/// Tries to become the one that starts and stops the server.
pub(super) fn attempt(data_dir: &Path, kind: Kind) -> Result<Attempt, EmbeddedError> {
    let path = data_dir.join(SERVE);
    let mut file = open(&path)?;
    match file.try_lock() {
        Ok(()) => {
            let holder = Holder { kind, pid: std::process::id() };
            sign(&mut file, holder).map_err(io("write", &path))?;
            Ok(Attempt::Held(Lock { file }))
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(io("read", &path))?;
            Ok(Attempt::Busy(Holder::parse(&text)))
        }
        Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
    }
}

/// Tries to count as a command at work; `None` while another stops the server.
pub(super) fn take_seat(data_dir: &Path) -> Result<Option<Lock>, EmbeddedError> {
    try_commands(data_dir, File::try_lock_shared)
}

/// Tries to be the only command; `None` while others are at work.
pub(super) fn only_command(data_dir: &Path) -> Result<Option<Lock>, EmbeddedError> {
    try_commands(data_dir, File::try_lock)
}

fn try_commands(
    data_dir: &Path,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> Result<Option<Lock>, EmbeddedError> {
    let path = data_dir.join(COMMANDS);
    let file = open(&path)?;
    match lock(&file) {
        Ok(()) => Ok(Some(Lock { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
    }
}

fn open(path: &Path) -> Result<File, EmbeddedError> {
    // Not truncated: it may hold the name of another process.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io("open", path))
}

fn sign(file: &mut File, holder: Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let kind = match holder.kind {
        Kind::Serve => "serve",
        Kind::Command => "command",
    };
    writeln!(file, "{kind} {}", holder.pid)
}

impl Holder {
    fn parse(text: &str) -> Option<Self> {
        let (kind, pid) = text.trim().split_once(' ')?;
        let kind = match kind {
            "serve" => Kind::Serve,
            "command" => Kind::Command,
            _ => return None,
        };
        Some(Self { kind, pid: pid.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_holds_the_lock_until_it_is_released() {
        let dir = tempfile::tempdir().unwrap();
        let Attempt::Held(lock) = attempt(dir.path(), Kind::Serve).unwrap() else { panic!("it was free") };
        let Attempt::Busy(holder) = attempt(dir.path(), Kind::Command).unwrap() else { panic!("held twice") };
        assert_eq!(holder, Some(Holder { kind: Kind::Serve, pid: std::process::id() }));
        drop(lock);
        assert!(matches!(attempt(dir.path(), Kind::Command).unwrap(), Attempt::Held(_)));
    }

    #[test]
    fn a_longer_name_leaves_nothing_behind_a_shorter_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(SERVE), "command 4294967295 and more\n").unwrap();
        let held = attempt(dir.path(), Kind::Serve).unwrap();
        let Attempt::Busy(holder) = attempt(dir.path(), Kind::Serve).unwrap() else { panic!("held twice") };
        assert_eq!(holder.unwrap().kind, Kind::Serve);
        drop(held);
    }

    #[test]
    fn commands_share_and_the_last_one_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = take_seat(dir.path()).unwrap().unwrap();
        let second = take_seat(dir.path()).unwrap().unwrap();
        drop(first);
        assert!(only_command(dir.path()).unwrap().is_none());
        drop(second);
        let only = only_command(dir.path()).unwrap().unwrap();
        assert!(take_seat(dir.path()).unwrap().is_none());
        drop(only);
    }

    #[test]
    fn a_program_that_is_just_starting_does_not_keep_what_was_released() {
        let dir = tempfile::tempdir().unwrap();
        let seat = take_seat(dir.path()).unwrap().unwrap();
        // What a fork leaves in the child until its exec.
        let copy = seat.file.try_clone().unwrap();
        drop(seat);
        assert!(only_command(dir.path()).unwrap().is_some());
        drop(copy);
    }

    #[test]
    fn a_text_that_names_nobody_is_no_holder() {
        for text in ["", "serve", "serve x", "boss 12", "serve -1"] {
            assert_eq!(Holder::parse(text), None, "{text}");
        }
    }
}
