//! Where a data directory's cluster and its socket lie.

use super::user::Account;
use super::{EmbeddedError, io};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// For clusters of data directories that Postgres' account cannot reach.
const ELSEWHERE: &str = "/var/lib/hookgate";
/// The name of the superuser and of the database.
pub(super) const NAME: &str = "hookgate";
/// macOS allows 103 bytes for the path of a socket, Linux 107.
const MAX_SOCKET_PATH: usize = 103;
/// What Postgres appends to the socket's directory.
const SOCKET_NAME: &str = "/.s.PGSQL.5432";

/// Where things lie, and whose they are.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Absolute, without links.
    pub(super) data_dir: PathBuf,
    /// PGDATA.
    pub(super) cluster: PathBuf,
    /// Who runs it.
    pub(super) account: Account,
    /// Directory of the socket, with nothing in its path that would need quoting.
    pub(super) socket_dir: PathBuf,
}

impl Place {
    /// Finds the cluster of a data directory, or the place for one. Creates the data directory if there is none.
    pub(super) fn find(data_dir: &Path) -> Result<Self, EmbeddedError> {
        std::fs::create_dir_all(data_dir).map_err(io("create", data_dir))?;
        let data_dir = data_dir.canonicalize().map_err(io("resolve", data_dir))?;
        let inside = data_dir.join("postgres");
        let elsewhere = Path::new(ELSEWHERE).join(unique_name(&data_dir));
        // A cluster stays where it once was: what the account can reach may change, the data must not vanish by it.
        let (cluster, account) = if inside.exists() {
            let account = Account::of_cluster(&inside)?;
            (inside, account)
        } else if elsewhere.exists() {
            let account = Account::of_cluster(&elsewhere)?;
            (elsewhere, account)
        } else {
            let account = Account::for_new_cluster()?;
            (if account.can_enter(&data_dir) { inside } else { elsewhere }, account)
        };
        let socket_dir = if is_plain(&cluster) {
            cluster.clone()
        } else {
            private_dir(&Path::new("/tmp").join(format!("{NAME}-{}", unique_name(&data_dir))), account)?
        };
        Ok(Self { data_dir, cluster, account, socket_dir })
    }

    /// The cluster, when it does not lie inside the data directory.
    pub(super) fn elsewhere(&self) -> Option<PathBuf> {
        (!self.cluster.starts_with(&self.data_dir)).then(|| self.cluster.clone())
    }

    /// How to connect. No secret, but what takes URLs takes secret ones.
    pub(super) fn url(&self) -> SecretString {
        format!("postgres:///{NAME}?host={}&user={NAME}", self.socket_dir.display()).into()
    }
}

/// `NAME-HASH` of a data directory: readable, and another for each.
fn unique_name(data_dir: &Path) -> String {
    let name = data_dir.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    let hash = hex::encode(Sha256::digest(data_dir.as_os_str().as_bytes()));
    format!("{name}-{}", &hash[..12])
}

/// Whether a path can hold a socket and stand in a URL and in Postgres' settings as it is.
fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.len() + SOCKET_NAME.len() <= MAX_SOCKET_PATH
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte))
}

/// A directory in a place where everybody may create: only the account may get into it, or it is refused.
fn private_dir(path: &Path, account: Account) -> Result<PathBuf, EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => account.take_over(path)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io("create", path)(error)),
    }
    let meta = std::fs::symlink_metadata(path).map_err(io("look at", path))?;
    if meta.is_dir() && meta.uid() == account.uid && meta.permissions().mode() & 0o777 == 0o700 {
        Ok(path.to_owned())
    } else {
        Err(EmbeddedError::NotPrivate(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_long_or_would_need_quoting_hold_no_socket() {
        assert!(is_plain(Path::new("/srv/hook_gate-1.2/data/postgres")));
        assert!(is_plain(Path::new(&format!("/{}", "x".repeat(MAX_SOCKET_PATH - SOCKET_NAME.len() - 1)))));
        assert!(!is_plain(Path::new(&format!("/{}", "x".repeat(MAX_SOCKET_PATH - SOCKET_NAME.len())))));
        for path in ["/a b", "/a,b", "/a'b", "/a%20b", "/ä", "/a\"b", "/a?b", "/a&b"] {
            assert!(!is_plain(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn two_data_directories_of_one_name_have_different_unique_names() {
        let (one, other) = (unique_name(Path::new("/a/data")), unique_name(Path::new("/b/data")));
        assert_ne!(one, other);
        assert!(one.starts_with("data-"), "{one}");
        assert!(is_plain(Path::new(&unique_name(Path::new("/x/my data, längst, \"alt\"")))));
    }

    #[test]
    fn a_socket_directory_that_others_could_enter_or_made_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let account = Account::for_new_cluster().unwrap();
        let path = dir.path().join("socket");
        assert_eq!(private_dir(&path, account).unwrap(), path);
        assert_eq!(private_dir(&path, account).unwrap(), path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o710)).unwrap();
        assert!(matches!(private_dir(&path, account), Err(EmbeddedError::NotPrivate(_))));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(matches!(private_dir(&link, account), Err(EmbeddedError::NotPrivate(_))));
    }
}
