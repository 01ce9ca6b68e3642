#!/usr/bin/env bash
# Shows a running gateway's health, its figures and how many events are in each state, again every few seconds.
#   scripts/monitor_webhooks.sh [--once] [--every SECONDS] [BASE_URL]      (BASE_URL: http://localhost:8080)
# The states need the admin token: HOOKGATE_ADMIN_TOKEN, else the one in $HOOKGATE_DATA_DIR (./data).
# With --once the exit code is 1 if the gateway is not healthy.
set -euo pipefail

base=http://localhost:8080 every=5 once=false
while [ $# -gt 0 ]; do
    case $1 in
        --once) once=true ;;
        --every) every=${2:?--every needs a number of seconds}; shift ;;
        -h | --help) sed -n '2,5s/^# //p' "$0"; exit 0 ;;
        -*) echo "there is no option $1; see --help" >&2; exit 2 ;;
        *) base=${1%/} ;;
    esac
    shift
done
if ! command -v curl >/dev/null; then
    echo "curl is missing: install it (apt-get install curl) and run this again" >&2
    exit 2
fi

token=${HOOKGATE_ADMIN_TOKEN:-${ADMIN_TOKEN:-}}
token_file=${HOOKGATE_DATA_DIR:-$(dirname "$0")/../data}/admin-token
if [ -z "$token" ] && [ -r "$token_file" ]; then
    token=$(<"$token_file")
fi

get() { curl -sS --max-time 5 "$@" 2>/dev/null; }
# Through a pipe, so that no process list shows the token.
admin_get() { get -f -H @<(printf 'Authorization: Bearer %s\n' "$token") "$base$1"; }

# From Prometheus text: what came, how fast it was answered, what waits and what was called. Zeros are left out.
figures() {
    sort | awk '
        function label(name,   text) {
            if (!match($0, name "=\"[^\"]*\"")) return ""
            text = substr($0, RSTART, RLENGTH)
            return substr(text, length(name) + 3, length(text) - length(name) - 3)
        }
        function row(one, other) { return $NF == 0 ? "" : sprintf("  %-15s %-15s %10d\n", label(one), label(other), $NF) }
        /^webhook_events_received_total\{/    { received = received row("provider", "outcome") }
        /^webhook_events_processed_total\{/   { handled = handled row("provider", "status") }
        /^webhook_queue_depth\{/              { queues = queues row("queue", "status") }
        /^upstream_requests_total\{/          { calls = calls row("upstream", "status") }
        /^webhook_ack_duration_seconds_sum/   { sum += $NF }
        /^webhook_ack_duration_seconds_count/ { count += $NF }
        END {
            if (received) printf "received since start\n%s", received
            if (count) printf "  %-31s %10.2f\n", "mean reply time in ms", 1000 * sum / count
            if (handled) printf "handled since start\n%s", handled
            if (queues) printf "waiting or in work\n%s", queues
            if (calls) printf "upstream calls since start\n%s", calls
        }'
}

# Counts at most one page: this looks at troubles, it does not audit.
states() {
    local state page count more
    echo "events (the newest 200 of each state)"
    for state in received processing completed ignored failed rejected; do
        if ! page=$(admin_get "/api/v1/events?status=$state&limit=200"); then
            echo "  the admin API does not take this token"
            return
        fi
        count=$(grep -o '"event_id":' <<<"$page" | wc -l || true)
        more=''
        if [[ $page =~ \"next_cursor\":\" ]]; then more=+; fi
        printf '  %-31s %10s\n' "$state" "$count$more"
    done
}

show() {
    local health metrics
    printf '%s  %(%Y-%m-%d %H:%M:%S)T\n' "$base" -1
    health=$(get "$base/health") || { echo "not reachable"; return 1; }
    echo "$health"
    if metrics=$(get -f "$base/metrics"); then figures <<<"$metrics"; fi
    if [ -n "$token" ]; then
        states
    else
        echo "set HOOKGATE_ADMIN_TOKEN to see the events by state"
    fi
    [[ $health == *'"healthy"'* ]]
}

if $once; then
    show
    exit
fi
while true; do
    # Drawn in one go, so that the screen does not flicker.
    screen=$(show || true)
    printf '\e[H\e[2J%s\n' "$screen"
    sleep "$every"
done
