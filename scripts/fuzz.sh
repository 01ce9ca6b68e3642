#!/usr/bin/env bash
# Runs the fuzz targets of fuzz/: scripts/fuzz.sh [SECONDS] [TARGET...]. Each target runs that long (600 s), all of them
# unless some are named. Says for each how often it ran and what it found, and fails if one found something.
#   FUZZ_JOBS       how many run at a time (1)
#   FUZZ_SANITIZER  address, or none where that cannot be built (address)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/deps.sh
need_cargo
need_cc
seconds=600
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
jobs=${FUZZ_JOBS:-1}
all=(tables requests signed own_scheme jwt certificates keys moysklad_c2s)
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
for target in "${targets[@]}"; do
    [ -f "fuzz/fuzz_targets/$target.rs" ] || { say "there is no target $target; there are: ${all[*]}"; exit 2; }
done

# libFuzzer is C++, and its coverage needs flags that only nightly Rust takes.
command -v c++ >/dev/null || apt_install g++
command -v python3 >/dev/null || apt_install python3
if ! rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
    say "installing nightly Rust"
    rustup toolchain install nightly --profile minimal
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    say "installing cargo-fuzz"
    nice -n 19 cargo install cargo-fuzz --locked
fi

say "building"
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
for target in "${targets[@]}"; do
    nice -n 19 cargo +nightly fuzz build --sanitizer "${FUZZ_SANITIZER:-address}" --target "$host" "$target"
done
python3 fuzz/seeds/make.py fuzz/corpus
mkdir -p fuzz/artifacts

# run TARGET: its log is fuzz/artifacts/TARGET.log; what it found is in fuzz/artifacts/TARGET.
run() {
    local target=$1 more=(-max_len=16384)
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    rm -f "fuzz/artifacts/$target"/*
    case $target in
        tables) more+=(-dict=fuzz/seeds/tables.dict) ;;
        requests | signed | moysklad_c2s) more+=(-dict=fuzz/seeds/requests.dict) ;;
        # A structure wants some bytes for each of its fields from the start.
        *) more=(-max_len=4096 -len_control=0) ;;
    esac
    ASAN_OPTIONS=detect_odr_violation=0 RUST_BACKTRACE=1 \
        nice -n 19 "fuzz/target/$host/release/$target" "${more[@]}" \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -print_final_stats=1 \
        -artifact_prefix="fuzz/artifacts/$target/" "fuzz/corpus/$target" >"fuzz/artifacts/$target.log" 2>&1
}

say "running ${targets[*]}, $seconds s each, $jobs at a time"
for target in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    run "$target" &
done
wait || true

failed=0
printf '%-14s %12s %8s %8s %8s %8s  %s\n' target executions runs/s corpus edges features found
for target in "${targets[@]}"; do
    log=fuzz/artifacts/$target.log
    stat() { sed -n "s/^stat::$1: *//p" "$log"; }
    last() { grep -o "$1: [0-9]*" "$log" | tail -1 | cut -d' ' -f2; }
    # An execution that was slow is worth a look and no failure; what stops a run is one.
    found=$(find "fuzz/artifacts/$target" -type f ! -name 'slow-unit-*' | wc -l)
    slow=$(find "fuzz/artifacts/$target" -type f -name 'slow-unit-*' | wc -l)
    executions=$(stat number_of_executed_units)
    if [ "$found" -gt 0 ] || [ -z "$executions" ] || ! grep -q '^Done ' "$log"; then failed=1; fi
    printf '%-14s %12s %8s %8s %8s %8s  %s\n' "$target" "${executions:-?}" "$(stat average_exec_per_sec)" \
        "$(find "fuzz/corpus/$target" -type f | wc -l)" "$(last cov)" "$(last ft)" "$found crashes, $slow slow"
done
[ "$failed" = 0 ] || say "see fuzz/artifacts: TARGET.log, and the inputs that failed in TARGET/"
exit "$failed"
