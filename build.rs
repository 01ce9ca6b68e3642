//! Rebuilds the crate when a migration changes: `embed_migrations!` reads files that cargo does not watch.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
