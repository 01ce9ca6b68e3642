//! Making a cluster: whole or not at all.

use super::place::{NAME, Place};
use super::programs::Programs;
use super::{EmbeddedError, durable, io};
use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Five seconds in all.
const REMOVE_TRIES: u32 = 50;

/// Creates the cluster and its database where there is none yet. Only for the holder of the lock.
///
/// It is made beside its place and renamed when complete, so that a crash never leaves half a cluster.
pub(super) fn create_if_missing(place: &Place, programs: &Programs) -> Result<(), EmbeddedError> {
    let Some((parent, name)) = place.cluster.parent().zip(place.cluster.file_name()) else { return Ok(()) };
    let prefix = format!("{}.new-", name.to_string_lossy());
    remove_leftovers(parent, &prefix);
    if place.cluster.join("PG_VERSION").exists() {
        return Ok(());
    }
    std::fs::create_dir_all(parent).map_err(io("create", parent))?;

    // A name never used before: an initdb that outlived its killed gateway may still write to the old one.
    let fresh = parent.join(format!("{prefix}{}", hex::encode(crate::crypto::random_bytes::<6>())));
    DirBuilder::new().mode(0o700).create(&fresh).map_err(io("create", &fresh))?;
    place.account.take_over(&fresh)?;
    fill(place, programs, &fresh).inspect_err(|_| {
        let _ = std::fs::remove_dir_all(&fresh);
    })?;
    std::fs::rename(&fresh, &place.cluster).map_err(io("put a new cluster at", &place.cluster))?;
    // The new name survives a power cut only once its directory is written.
    std::fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(io("write", parent))
}

/// Removes what crashed attempts left. What cannot be removed harms nothing, and the next start tries again.
fn remove_leftovers(parent: &Path, prefix: &str) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            // The same initdb may still be adding files; it gives up when it misses those that are gone.
            for _ in 0..REMOVE_TRIES {
                let _ = std::fs::remove_dir_all(entry.path());
                if !entry.path().exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn fill(place: &Place, programs: &Programs, dir: &Path) -> Result<(), EmbeddedError> {
    let mut initdb = place.account.command(&programs.initdb());
    // `trust` is about the socket, the only way in, whose directory only the account may enter.
    initdb.args(["-U", NAME, "-A", "trust", "-E", "UTF8", "--locale=C", "-D"]).arg(dir);
    if !durable() {
        initdb.arg("--no-sync");
    }
    check(programs.initdb(), initdb.output())?;

    // Single-user mode: the database is part of the cluster before anyone can see the cluster.
    let mut single = place.account.command(&programs.postgres());
    single.args(["--single", "-c", "exit_on_error=on", "-D"]).arg(dir).arg("template1");
    check(programs.postgres(), with_input(single, &format!("CREATE DATABASE {NAME}\n")))
}

fn with_input(mut command: Command, input: &str) -> std::io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early says why by its status and its output.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

fn check(program: PathBuf, output: std::io::Result<Output>) -> Result<(), EmbeddedError> {
    let output = output.map_err(io("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let detail = super::tail(&String::from_utf8_lossy(&output.stderr));
    Err(EmbeddedError::CreateFailed { program, detail })
}
