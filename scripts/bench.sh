#!/usr/bin/env bash
# Measures the gateway against bare Postgres on this machine, in one run, and appends the figures to
# docs/performance.md. A benchmark, not a test: it says how fast, and fails only where the counts do not agree.
#   scripts/bench.sh [--seconds N] [--no-record]      (N: length of each measurement, 15)
# Everything runs on loopback in a directory of its own, with full durability, and is gone afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/deps.sh

seconds=15 record=true
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds=${2:?--seconds needs a number}; shift ;;
        --no-record) record=false ;;
        -h | --help) sed -n '2,5s/^# //p' "$0"; exit 0 ;;
        *) echo "there is no option $1; see --help" >&2; exit 2 ;;
    esac
    shift
done
[[ $seconds =~ ^[1-9][0-9]{0,2}$ ]] || { echo "--seconds takes 1 to 999" >&2; exit 2; }

need_cargo
need_cc
need_postgres
command -v wrk >/dev/null || apt_install wrk
pgbench=$PG_BIN/pgbench psql=$PG_BIN/psql
[ -x "$pgbench" ] || apt_install postgresql-contrib
cargo build --release --locked
binary=$(realpath "$(target_dir)/release/hookgate")

# /var/tmp is on a disk; /tmp may be memory, where a commit costs nothing.
work=$(mktemp -d /var/tmp/hookgate-bench.XXXXXX)
chmod 755 "$work"
gateway=''
stop() {
    if [ -n "$gateway" ]; then
        kill -TERM "$gateway" 2>/dev/null || true
        wait "$gateway" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap stop EXIT
fail() {
    echo "FAILED: $*" >&2
    tail -n 20 "$work/log" >&2
    exit 1
}

# Started with nothing of the caller's environment but PATH and HOME, so that no setting of theirs is measured.
secret=whsec_bench
(
    cd "$work"
    exec env -i PATH="$PATH" HOME="$HOME" HOST=127.0.0.1 PORT=0 HOOKGATE_DATA_DIR="$work/data" \
        STRIPE_WEBHOOK_SECRET=$secret \
        "$binary" serve
) >"$work/out" 2>"$work/log" &
gateway=$!
base=''
for _ in {1..300}; do
    base=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$work/out")
    if [ -n "$base" ]; then break; fi
    kill -0 "$gateway" 2>/dev/null || fail "the gateway did not start"
    sleep 0.1
done
[ -n "$base" ] || fail "the gateway did not start within 30 seconds"

# Line 4 of Postgres' pid file is its port, line 5 the directory of its socket.
pid_file=$(find "$work/data" -name postmaster.pid | head -n 1)
export PGPORT PGHOST PGUSER=hookgate PGDATABASE=hookgate
PGPORT=$(sed -n 4p "$pid_file") PGHOST=$(sed -n 5p "$pid_file")
sql() { "$psql" -AtXq -v ON_ERROR_STOP=1 -c "$1"; }
calc() { awk -v OFMT=%.2f "BEGIN { print $1 }"; }
memory_mib() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$gateway/status"; }
# The last word of a line such as "tps = 123.4 (…)" or a key=value pair of it.
field() { sed -n "s/.*\b$1=\([0-9.]*\).*/\1/p" <<<"$2"; }

# post CONNECTIONS TYPE [PAUSE_MS]: sets $result, $run and $ok; stops the benchmark unless every request got its 2xx and
# the database holds each of them.
post() {
    local stored
    run=$(printf '%04x%04x' $RANDOM $((RANDOM + SECONDS)))
    result=$(wrk --threads 1 --connections "$1" --duration "${seconds}s" --script scripts/bench/stripe.lua \
        "$base/api/v1/webhooks/stripe" -- $secret "$2" "$run" "${3:-}" | sed -n 's/^result //p')
    ok=$(field ok "$result")
    if [ "$(field bad "$result")" != 0 ] || [ "$(field lost "$result")" != 0 ]; then
        fail "not every event got its 2xx: $result"
    fi
    # When time is up, wrk does not wait for answers: as many events as it has connections may be stored uncounted.
    stored=$(sql "SELECT count(*) FROM webhook_events WHERE event_id LIKE 'evt\_%$run'")
    if [ "$stored" -lt "$ok" ] || [ "$stored" -gt $((ok + $1)) ]; then
        fail "$ok events were acknowledged, but $stored are stored"
    fi
    total=$((${total:-0} + stored))
}

# Waits until the queue is empty. Asks in a way that the queue's own indexes answer: counting would be a load of its own.
drain() {
    local busy=t limit=$((SECONDS + 20 * seconds + 60))
    while [ "$busy" = t ]; do
        sleep 0.5
        kill -0 "$gateway" 2>/dev/null || fail "the gateway has stopped"
        [ $SECONDS -lt $limit ] || fail "the worker did not finish its queue"
        busy=$(sql "SELECT EXISTS (SELECT FROM webhook_events WHERE status = 'received')
            OR EXISTS (SELECT FROM webhook_events WHERE status = 'processing')")
    done
}

# Bare Postgres: the same cluster, the same bytes, one unique key, one row in each commit, 32 clients.
baseline() {
    sql "CHECKPOINT"
    "$pgbench" --no-vacuum --client 32 --jobs 1 --time "$seconds" --protocol prepared --file "$work/insert.sql" \
        -D body="$(printf '%0819d' 0)" 2>>"$work/log" | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}
sql "CREATE TABLE bench_baseline (event_id text PRIMARY KEY, body bytea NOT NULL)"
cat >"$work/insert.sql" <<'SQL'
\set id random(1, 9223372036854775807)
INSERT INTO bench_baseline VALUES ('evt_' || :id, :body::text::bytea);
SQL

# What a commit costs at least on this disk; the ratio between the gateway and bare Postgres hangs on it.
fsync_us=$(timeout 10 "$PG_BIN/pg_test_fsync" -s 1 -f "$work/fsync" 2>/dev/null | awk '$1 == "fdatasync" { print $4; exit }' || true)
rm -f "$work/fsync"
rss_start=$(memory_mib)

say "one connection: time to acknowledge"
sql "CHECKPOINT"
post 1 product.updated
idle_p50=$(field p50_ms "$result") idle_p99=$(field p99_ms "$result")

say "one connection, 50 events a second: receipt to handler start"
post 1 payment_intent.succeeded 20
drain
start_p50=$(sql "SELECT round((1000 * percentile_cont(0.5) WITHIN GROUP
    (ORDER BY extract(epoch FROM (attempt_log -> 0 ->> 'at')::timestamptz - received_at)))::numeric, 2)
    FROM webhook_events WHERE event_id LIKE 'evt\_%$run'")

say "bare Postgres: single-row inserts, 32 clients"
before=$(baseline)

say "ingest: 64 connections, events that no handler wants"
sql "CHECKPOINT"
post 64 product.updated
ingest=$(calc "$ok / $(field seconds "$result")") ingest_p50=$(field p50_ms "$result") ingest_p99=$(field p99_ms "$result")

say "ingest and handling at once: 64 connections, events that a handler wants"
sql "CHECKPOINT"
post 64 payment_intent.succeeded
both=$(calc "$ok / $(field seconds "$result")") both_p50=$(field p50_ms "$result") both_p99=$(field p99_ms "$result")
drain
handled=$(sql "SELECT round(count(*) / extract(epoch FROM max(processed_at) - min(received_at)), 0)
    FROM webhook_events WHERE event_id LIKE 'evt\_%$run' AND status = 'completed'")
not_handled=$(sql "SELECT count(*) FROM webhook_events WHERE event_id LIKE 'evt\_%$run' AND status <> 'completed'")
[ "$not_handled" = 0 ] || fail "$not_handled events did not end as completed"
rss_load=$(memory_mib)

say "bare Postgres again: what else the machine did shows in the difference"
after=$(baseline)
bare=$(calc "($before + $after) / 2")

stored=$(sql "SELECT count(*) FROM webhook_events WHERE provider = 'stripe'")
[ "$stored" = "$total" ] || fail "$total events were found after the runs, now there are $stored"

block() {
    cat <<END

## $(date -u +%Y-%m-%d), $(git rev-parse --short HEAD 2>/dev/null || echo "no commit")$(git diff --quiet HEAD 2>/dev/null || echo " and changes")

$(nproc) cores ($(sed -n 's/^model name\t*: //p' /proc/cpuinfo | head -n 1)), $(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GiB, Linux $(uname -r), PostgreSQL $("$PG_BIN/postgres" --version | awk '{ print $3 }'), fsync on ($fsync_us µs on $(df --output=fstype "$work" | tail -n 1)), $seconds s each

| what | measured |
| --- | --- |
| bare Postgres, single-row inserts, 32 clients | $(printf %.0f "$bare")/s ($(printf %.0f "$before") before, $(printf %.0f "$after") after) |
| ingest, 64 connections, signed events of 819 bytes | $(printf %.0f "$ingest")/s, p50 $ingest_p50 ms, p99 $ingest_p99 ms |
| ingest / bare inserts | $(calc "$ingest / $bare") |
| the same while handlers run | $(printf %.0f "$both")/s, p50 $both_p50 ms, p99 $both_p99 ms |
| handled, first receipt to last outcome | $handled/s |
| acknowledgement, one connection | p50 $idle_p50 ms, p99 $idle_p99 ms |
| receipt to handler start, 50 events a second | p50 $start_p50 ms |
| resident memory of the gateway | $rss_start MiB after start, $rss_load MiB after load |
| events acknowledged and found stored | $total, no error |
END
}
result=$(block)
echo "$result"
if $record; then
    if [ ! -e docs/performance.md ]; then
        mkdir -p docs
        cat >docs/performance.md <<'END'
# Measurements

Made by `scripts/bench.sh`, newest last. Load generator, gateway and Postgres share the machine, so compare figures
within one block (the ratio above all), not between machines.
END
    fi
    printf '%s\n' "$result" >>docs/performance.md
    say "appended to docs/performance.md"
fi
