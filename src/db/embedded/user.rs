//! The account that Postgres runs as: our own, or an unprivileged one where ours is root, which Postgres refuses.

use super::{EmbeddedError, io};
use nix::unistd::{Uid, User};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Made by us as the last resort but one, on systems without an account of Postgres' own.
const OWN_ACCOUNT: &str = "hookgate-postgres";

/// An account by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    gid: u32,
    /// Whether it is another than that of this process.
    switch: bool,
}

impl Account {
    /// Who shall own a new cluster.
    pub(super) fn for_new_cluster() -> Result<Self, EmbeddedError> {
        if !Uid::effective().is_root() {
            return Ok(Self::own());
        }
        let user =
            named("postgres").or_else(|| named(OWN_ACCOUNT)).or_else(create).or_else(|| named("nobody"));
        let user = user.ok_or(EmbeddedError::NoAccount)?;
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), switch: true })
    }

    /// Who owns the cluster that lies at `path`: Postgres runs as no other.
    pub(super) fn of_cluster(path: &Path) -> Result<Self, EmbeddedError> {
        let meta = std::fs::metadata(path).map_err(io("look at", path))?;
        let us = Uid::effective();
        if us.is_root() && meta.uid() != 0 {
            return Ok(Self { uid: meta.uid(), gid: meta.gid(), switch: true });
        }
        if us.is_root() || us.as_raw() != meta.uid() {
            let owner = User::from_uid(Uid::from_raw(meta.uid())).ok().flatten();
            let owner = owner.map_or_else(|| meta.uid().to_string(), |user| user.name);
            return Err(EmbeddedError::NotOurs { path: path.to_owned(), owner });
        }
        Ok(Self::own())
    }

    fn own() -> Self {
        Self { uid: Uid::effective().as_raw(), gid: nix::unistd::Gid::effective().as_raw(), switch: false }
    }

    /// A program to be run by this account, with nothing of our environment: it holds secrets.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir("/").stdin(Stdio::null());
        // macOS: without a locale its system library starts a thread, which the postmaster takes for an error.
        command.env("LC_ALL", "C");
        for kept in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Whether it can pass through a directory. Really tried, because modes do not tell of access lists, mounts and
    /// security modules.
    pub(super) fn can_enter(&self, dir: &Path) -> bool {
        let mut test = self.command(Path::new("test"));
        test.arg("-x").arg(dir).status().is_ok_and(|status| status.success())
    }

    /// Makes it the owner of what we created.
    pub(super) fn take_over(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.switch {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).map_err(io("give away", path))
    }
}

fn named(name: &str) -> Option<User> {
    User::from_name(name).ok().flatten()
}

fn create() -> Option<User> {
    // It fails where another process was faster; then the account is there all the same.
    let _ = Command::new("useradd")
        .args(["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", OWN_ACCOUNT])
        .stdin(Stdio::null())
        .output();
    named(OWN_ACCOUNT)
}
