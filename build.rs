//! Rebuilds the crate when a migration changes (`embed_migrations!` reads files that cargo does not watch), and lists the
//! built-in providers: the folder is the registry.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=src/providers/builtin");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/providers/builtin");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .collect();
    names.sort();
    let mut list = String::from(
        "/// Every built-in scheme: its name, and its table as text.\npub const BUILTIN: &[(&str, &str)] = &[\n",
    );
    for name in names {
        let path = folder.join(format!("{name}.toml")).display().to_string();
        let _ = writeln!(list, "    ({name:?}, include_str!({path:?})),");
    }
    list.push_str("];\n");
    let target = Path::new(&std::env::var("OUT_DIR").unwrap_or_default()).join("builtin.rs");
    if let Err(error) = std::fs::write(&target, list) {
        println!("cargo::error=cannot write {}: {error}", target.display());
    }
}
