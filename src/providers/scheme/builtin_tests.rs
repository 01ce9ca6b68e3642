//! Every built-in provider against its vectors: those beside its table, and those of ../shared where it is there.

use super::{BUILTIN, load_builtin, read_tables};
use crate::providers::vectors;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn beside(name: &str) -> PathBuf {
    root().join(format!("src/providers/builtin/{name}.vectors.json"))
}

fn failures(name: &str, file: &Path) -> (usize, Vec<String>) {
    let text = std::fs::read_to_string(file).unwrap();
    let tables = read_tables("", "").unwrap();
    let mut failed = Vec::new();
    let all = vectors::read(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for vector in &all {
        let provider = vector.provider.as_deref().unwrap_or(name);
        let outcome = vector.run(&tables, provider);
        if !outcome.passed {
            failed.push(format!(
                "{provider} {}: {} ({})\n  {:?}",
                vector.name, outcome.verdict, vector.why, outcome.steps
            ));
        }
    }
    (all.len(), failed)
}

#[test]
fn every_builtin_table_can_be_read() {
    let failed: Vec<String> = BUILTIN
        .iter()
        .filter_map(|(name, _)| load_builtin(name).unwrap().err())
        .map(|error| error.to_string())
        .collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    assert!(BUILTIN.len() > 50, "{}", BUILTIN.len());
}

#[test]
fn every_builtin_provider_passes_the_vectors_beside_it() {
    let mut failed = Vec::new();
    for (name, _) in BUILTIN {
        let file = beside(name);
        if !file.exists() {
            failed.push(format!("{name} has no vectors"));
            continue;
        }
        let (count, wrong) = failures(name, &file);
        if count < 4 {
            failed.push(format!("{name} has only {count} vectors"));
        }
        failed.extend(wrong);
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn the_shared_vectors_pass_where_they_are_there() {
    let (mut failed, mut run) = (Vec::new(), 0);
    for folder in ["own", "published"] {
        let Ok(files) = std::fs::read_dir(root().join("../shared/vectors").join(folder)) else { continue };
        for file in files.flatten() {
            let name = file.file_name().into_string().unwrap();
            let (count, wrong) = failures(name.trim_end_matches(".json"), &file.path());
            run += count;
            failed.extend(wrong);
        }
    }
    println!("{run} shared vectors");
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

/// A sample that a user posts by `hookgate send` must prove itself; those whose senders alone have the key say so.
#[test]
fn every_builtin_provider_has_samples_that_prove_themselves() {
    let mut failed = Vec::new();
    let tables = read_tables("", "").unwrap();
    for (name, _) in BUILTIN {
        let scheme = match load_builtin(name).unwrap() {
            Ok(scheme) => scheme,
            Err(error) => {
                failed.push(error.to_string());
                continue;
            }
        };
        if scheme.table.sample.is_empty() {
            failed.push(format!("{name} has no sample"));
        }
        if let Err(error) = super::sample_tests::prove(&tables, name, &scheme) {
            failed.push(format!("{name}: {error}"));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
