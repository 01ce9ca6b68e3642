#!/usr/bin/env bash
# Installs what is missing, builds Hookgate and starts it on port 8080 with a Postgres of its own in ./data.
# Arguments go to `hookgate serve`; settings come from the environment and hookgate.toml (see README.md).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/deps.sh

need_cargo
need_cc
if [ -z "${DATABASE_URL:-${DB_URL:-}}" ]; then
    need_postgres
fi

say "building (the first build takes some minutes)"
cargo build --release --locked
say "starting on port ${PORT:-8080}; Ctrl-C stops it"
exec "$(target_dir)/release/hookgate" serve "$@"
