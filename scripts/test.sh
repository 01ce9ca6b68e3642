#!/usr/bin/env bash
# Everything that must hold: format, lints, build, tests, against a private Postgres that this script starts itself.
# Arguments go to `cargo test` (a filter, say) and then skip format and lints.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/deps.sh
need_cargo
need_cc
need_postgres

# Short, because a Unix socket's path may have 107 bytes, and open to the user that Postgres runs as.
work=$(mktemp -d /tmp/hookgate-test.XXXXXX)
chmod 755 "$work"
as_pg=()
if [ "$(id -u)" = 0 ]; then
    chown "$(pg_user)" "$work"
    as_pg=(setpriv --reuid "$(pg_user)" --regid "$(id -g "$(pg_user)")" --clear-groups)
fi
stop() {
    (cd / && "${as_pg[@]}" "$PG_BIN/pg_ctl" -D "$work/pg" -m immediate stop >/dev/null 2>&1) || true
    rm -rf "$work"
}
trap stop EXIT
(
    cd /
    "${as_pg[@]}" "$PG_BIN/initdb" -D "$work/pg" -U hookgate -A trust -E UTF8 --locale=C --no-sync >/dev/null
    # Nothing here has to survive a power cut: durability is off for speed, except where a test starts a cluster itself.
    "${as_pg[@]}" "$PG_BIN/pg_ctl" -D "$work/pg" -l "$work/pg.log" -w -o "-k $work -c listen_addresses='' -c fsync=off \
        -c synchronous_commit=off -c full_page_writes=off -c max_connections=400" start >/dev/null ||
        { cat "$work/pg.log" >&2; exit 1; }
)
export HOOKGATE_TEST_DATABASE_URL="postgres:///postgres?host=$work&user=hookgate"

if [ $# -eq 0 ]; then
    need_component rustfmt fmt
    need_component clippy clippy
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
fi
cargo test --locked "$@"
