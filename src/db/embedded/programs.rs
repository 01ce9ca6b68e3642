//! Where Postgres' programs are on this machine.

use super::EmbeddedError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One installation of Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    bin: PathBuf,
    /// `15`: clusters of one major version work with the programs of that version only.
    major: String,
}

impl Programs {
    /// The installation for a cluster: of the version that made it, or the first that is found for a new one.
    pub(super) fn find(cluster: &Path) -> Result<Self, EmbeddedError> {
        let found = installed();
        match std::fs::read_to_string(cluster.join("PG_VERSION")) {
            Ok(version) => choose(found, cluster, version.trim()),
            Err(_) => found.into_iter().next().ok_or(EmbeddedError::NoPrograms),
        }
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }
}

fn choose(found: Vec<Programs>, cluster: &Path, version: &str) -> Result<Programs, EmbeddedError> {
    if found.is_empty() {
        return Err(EmbeddedError::NoPrograms);
    }
    let majors: Vec<_> = found.iter().map(|programs| programs.major.clone()).collect();
    found.into_iter().find(|programs| programs.major == version).ok_or_else(|| EmbeddedError::OtherVersion {
        cluster: cluster.to_owned(),
        made_by: version.to_owned(),
        found: majors.join(", "),
    })
}

/// All installations, the preferred first.
fn installed() -> Vec<Programs> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<Programs> = Vec::new();
    let by_name = std::env::split_paths(&path).chain(told_by_pg_config());
    // Debian and Ubuntu; Fedora and RHEL from Postgres' own packages; Homebrew on both kinds of Mac.
    let by_version = [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
    ];
    let by_version = by_version.iter().flat_map(|(parent, prefix)| newest_first(Path::new(parent), prefix));
    for dir in by_name.chain(by_version) {
        if let Some(programs) = inspect(&dir)
            && !found.contains(&programs)
        {
            found.push(programs);
        }
    }
    found
}

fn told_by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (!text.trim().is_empty()).then(|| text.trim().into())
}

/// The directories `parent/{prefix}{version}/bin`, the highest version first.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let names = std::fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut versions: Vec<(u32, PathBuf)> = names
        .filter_map(|name| {
            let version = name.to_str()?.strip_prefix(prefix)?;
            // Homebrew's plain `postgresql` has no version in its name.
            let version = if version.is_empty() { 0 } else { version.parse().ok()? };
            Some((version, parent.join(&name).join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

/// What is installed in a directory, if both programs are there and run.
fn inspect(dir: &Path) -> Option<Programs> {
    // Links in the PATH lead to the real place, so that one installation counts once.
    let bin = dir.join("postgres").canonicalize().ok()?.parent()?.to_owned();
    if !bin.join("initdb").exists() {
        return None;
    }
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let major = major(&String::from_utf8(output.stdout).ok()?)?;
    Some(Programs { bin, major })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-1)`, `… 19devel`, `… 19beta1`: the digits before anything else.
fn major(version: &str) -> Option<String> {
    let number = version.trim().strip_prefix("postgres (PostgreSQL) ")?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(major: &str) -> Programs {
        Programs { bin: format!("/opt/pg{major}/bin").into(), major: major.to_owned() }
    }

    #[test]
    fn a_version_text_gives_its_major_number() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0)\n").as_deref(), Some("15"));
        assert_eq!(major("postgres (PostgreSQL) 19beta1\n").as_deref(), Some("19"));
        assert_eq!(major("postgres (PostgreSQL) devel"), None);
        assert_eq!(major("mysqld 8.0"), None);
    }

    #[test]
    fn an_existing_cluster_gets_the_programs_of_its_version() {
        let both = vec![programs("17"), programs("15")];
        assert_eq!(choose(both, Path::new("/data/postgres"), "15").unwrap(), programs("15"));
    }

    #[test]
    fn a_cluster_of_a_missing_version_is_refused_with_both_versions_named() {
        let error = choose(vec![programs("17")], Path::new("/data/postgres"), "13").unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 13"), "{error}");
        assert!(error.contains("17"), "{error}");
        assert!(matches!(choose(vec![], Path::new("/d"), "13"), Err(EmbeddedError::NoPrograms)));
    }

    #[test]
    fn the_newest_version_comes_first_by_number() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["9", "16", "15", "common", "pg17"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let expected: Vec<_> =
            ["16", "15", "9"].iter().map(|name| dir.path().join(name).join("bin")).collect();
        assert_eq!(newest_first(dir.path(), ""), expected);
    }
}
