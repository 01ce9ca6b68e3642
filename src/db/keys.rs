//! Keys that the gateway makes for itself in the data directory: once, for its owner's eyes, read ever after.

use super::embedded::{EmbeddedError, io};
use crate::crypto::{MasterKey, random_bytes};
use secrecy::{ExposeSecret as _, SecretString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The bearer token of the admin API that belongs to a data directory, and the file that holds it.
pub fn admin_token(data_dir: &Path) -> Result<(SecretString, PathBuf), EmbeddedError> {
    let path = data_dir.join("admin-token");
    let token = read_or_create(&path, || hex::encode(random_bytes::<32>()).into())?;
    if token.expose_secret().is_empty() {
        return Err(EmbeddedError::KeyDamaged(path));
    }
    Ok((token, path))
}

/// The key of a data directory that seals secrets in the database.
pub fn master_key(data_dir: &Path) -> Result<MasterKey, EmbeddedError> {
    let path = data_dir.join("master.key");
    let text = read_or_create(&path, MasterKey::generate)?;
    MasterKey::parse(text.expose_secret()).map_err(|_| EmbeddedError::KeyDamaged(path))
}

/// The text of a file, which is first made, whole and durable, if there is none. Of several processes that do this at
/// once one makes it, and all read the same.
fn read_or_create(
    path: &Path,
    generate: impl FnOnce() -> SecretString,
) -> Result<SecretString, EmbeddedError> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => create(path, &generate())?,
        Err(error) => return Err(io("read", path)(error)),
        Ok(text) => return Ok(text.trim().to_owned().into()),
    }
    std::fs::read_to_string(path).map(|text| text.trim().to_owned().into()).map_err(io("read", path))
}

fn create(path: &Path, text: &SecretString) -> Result<(), EmbeddedError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).create(dir).map_err(io("create", dir))?;
    let draft = path.with_extension(format!("new-{}", hex::encode(random_bytes::<6>())));
    let done = write(&draft, text).and_then(|()| match std::fs::hard_link(&draft, path) {
        // Unlike a rename, a link never replaces the key of a process that was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let _ = std::fs::remove_file(&draft);
    done.map_err(io("create", path))?;
    // Sealed secrets outlive a power cut; so must the name of their key.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("write", dir))
}

fn write(path: &Path, text: &SecretString) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn keys_are_made_once_for_their_owner_only_under_concurrent_creation() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        let barrier = std::sync::Barrier::new(16);
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let ask = || {
                barrier.wait();
                let key = master_key(&data_dir).unwrap();
                let (token, _) = admin_token(&data_dir).unwrap();
                assert_eq!(
                    key.open("place", &master_key(&data_dir).unwrap().seal("place", &token))
                        .unwrap()
                        .expose_secret(),
                    token.expose_secret()
                );
                token.expose_secret().to_owned()
            };
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(tokens[0].len(), 64);
        assert!(tokens.iter().all(|token| *token == tokens[0]));

        let mut names: Vec<_> =
            std::fs::read_dir(&data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["admin-token", "master.key"]);
        for name in names {
            let mode = std::fs::metadata(data_dir.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["admin-token", "master.key"] {
            std::fs::write(dir.path().join(name), "\n").unwrap();
        }
        assert!(matches!(admin_token(dir.path()), Err(EmbeddedError::KeyDamaged(_))));
        let error = master_key(dir.path()).unwrap_err().to_string();
        assert!(error.contains("master.key"), "{error}");
        assert_eq!(std::fs::read(dir.path().join("master.key")).unwrap(), b"\n");
    }
}
