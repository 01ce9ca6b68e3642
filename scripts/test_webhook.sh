#!/usr/bin/env bash
# Checks from outside that a running gateway receives C2S webhooks as it should: eight checks, exit code 1 if one fails.
#   WEBHOOK_SECRET=... scripts/test_webhook.sh [BASE_URL]      (BASE_URL: http://localhost:8080)
# Safe on a live gateway: the leads are made up, new in every run, and closed ones, which no handler acts on.
set -euo pipefail

base=${1:-http://localhost:8080}
url=${base%/}/api/v1/webhooks/c2s
secret=${WEBHOOK_SECRET:-${C2S_WEBHOOK_SECRET:-}}
secret=${secret%%,*} # several while one is being rotated: any of them will do

if [ -z "$secret" ]; then
    echo "WEBHOOK_SECRET is not set: give the secret that the gateway was started with, as in" >&2
    echo "    WEBHOOK_SECRET=... $0 $base" >&2
    exit 2
fi
if ! command -v curl >/dev/null; then
    echo "curl is missing: install it (apt-get install curl) and run this again" >&2
    exit 2
fi

green='' red='' plain=''
if [ -t 1 ]; then
    green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi
passed=0 failed=0

# post TOKEN BODY: sets $status and $reply. The token goes through a pipe, so that no process list shows it.
post() {
    local out headers="Content-Type: application/json"
    if [ -n "$1" ]; then
        headers+=$'\n'"X-Webhook-Token: $1"
    fi
    if ! out=$(curl -sS --max-time 10 -X POST -H @<(printf '%s\n' "$headers") -d "$2" -w '\n%{http_code}' "$url" 2>&1); then
        echo "cannot reach $url: ${out%%$'\n'*}" >&2
        echo "Is the gateway running? ./scripts/run.sh starts it." >&2
        exit 1
    fi
    status=${out##*$'\n'} reply=${out%$'\n'*}
}

# check NAME STATUS PART TOKEN BODY: the reply must have this status and hold this text.
check() {
    post "$4" "$5"
    local verdict=PASS colour=$green note=''
    if [ "$status" != "$2" ] || [[ $reply != *"$3"* ]]; then
        verdict=FAIL colour=$red note="  expected $2${3:+ with $3}, got: ${reply:0:300}"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
    printf '%s%s%s  %-38s %s%s\n' "$colour" "$verdict" "$plain" "$1" "$status" "$note"
}

# 32 hexadecimal digits, as C2S's own lead ids have.
lead_id() { printf '%08x%04x%04x%04x%04x%08x' "$(printf '%(%s)T' -1)" $RANDOM $RANDOM $RANDOM $RANDOM $BASHPID; }
lead() { printf '{"id":"%s","hook_action":"on_close_lead","attributes":{%s}}' "$1" "$2"; }
at() { printf '"updated_at":"2026-01-01T12:00:%02dZ"' "$1"; }

id=$(lead_id)
one=$(lead "$id" "$(at 0)")
batch="[$(lead "$(lead_id)" "$(at 0)"),$(lead "$(lead_id)" "$(at 0)"),$(lead "$(lead_id)" "$(at 0)")]"

echo "C2S webhooks at $url"
check "missing token" 401 "" "" "$one"
check "wrong token" 401 "" "wrong-$id" "$one"
check "one event" 200 '"processed":1' "$secret" "$one"
check "the same event again" 200 '"duplicates":1' "$secret" "$one"
check "the same lead, another timestamp" 200 '"processed":1' "$secret" "$(lead "$id" "$(at 1)")"
check "a batch of three" 200 '"processed":3' "$secret" "$batch"
check "no updated_at" 400 "" "$secret" "$(lead "$(lead_id)" "")"
check "an invalid timestamp" 400 "" "$secret" "$(lead "$(lead_id)" '"updated_at":"yesterday"')"

echo "$passed of $((passed + failed)) passed"
if [ "$status" = 404 ]; then
    echo "404 means that the gateway has no C2S secret: start it with WEBHOOK_SECRET set." >&2
fi
[ "$failed" -eq 0 ]
