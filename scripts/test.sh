#!/usr/bin/env bash
# Everything that must hold: format, lints, build, tests, against a private Postgres that this script starts itself.
# Arguments go to `cargo test` (a filter, say) and then skip format and lints.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/deps.sh
need_cargo
need_cc
need_postgres
need_openssl

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
# A certificate for the tests of TLS: Postgres speaks it on loopback only.
certificate() {
    cd "$work" &&
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=hookgate-test-ca -days 2 &&
        openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost &&
        echo 'subjectAltName=DNS:localhost' >names &&
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names &&
        chmod 600 server.key &&
        { [ "$(id -u)" != 0 ] || chown "$(pg_user)" server.key; }
}
(certificate) >/dev/null 2>"$work/openssl.log" || { cat "$work/openssl.log" >&2; exit 1; }
(
    cd /
    "${as_pg[@]}" "$PG_BIN/initdb" -D "$work/pg" -U hookgate -A trust -E UTF8 --locale=C --no-sync >/dev/null
    # Nothing here has to survive a power cut: durability is off for speed, except where a test starts a cluster itself.
    for _ in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 30000))
        "${as_pg[@]}" "$PG_BIN/pg_ctl" -D "$work/pg" -l "$work/pg.log" -w -o "-k $work -p $port \
            -c listen_addresses=localhost -c ssl=on -c ssl_cert_file=$work/server.pem -c ssl_key_file=$work/server.key \
            -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400" start >/dev/null &&
            exit 0
    done
    cat "$work/pg.log" >&2
    exit 1
)
HOOKGATE_TEST_PORT=$(sed -n 4p "$work/pg/postmaster.pid")
export HOOKGATE_TEST_PORT HOOKGATE_TEST_CA="$work/ca.pem"
export HOOKGATE_TEST_DATABASE_URL="postgres:///postgres?host=$work&port=$HOOKGATE_TEST_PORT&user=hookgate"

# The same cases each time: a landing must not fail by what chance finds. CONTRIBUTING.md says how to look for more.
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED-1}"

if [ $# -eq 0 ]; then
    need_component rustfmt fmt
    need_component clippy clippy
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
fi
cargo test --locked "$@"
