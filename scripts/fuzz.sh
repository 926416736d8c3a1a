#!/usr/bin/env bash
# Fuzzes targets for some seconds each: scripts/fuzz.sh [SECONDS [TARGET...]]
#
# 30 seconds without SECONDS, and without TARGET all but deep_session, which is slow and for nights.
# No sanitizer: the code under the targets is safe Rust, and scripts/asan.sh is for what is not. No
# comparisons are traced, which cost more than half of the time: dictionary and mutator know what they
# would find.
#
# Starts from the committed corpus and keeps what it finds in fuzz/target/corpus, out of git's
# sight. Ends with a table; fails when a target crashed, and says how to run that input again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SECONDS_EACH="${1:-30}"
readonly TARGETS=("${@:2}")
readonly LOGS=fuzz/target/logs
readonly BUILD=(--sanitizer none --no-trace-compares)

main() {
    need_tools
    mkdir -p "$LOGS"
    cargo +nightly fuzz build "${BUILD[@]}"
    local target targets crashed=()
    mapfile -t targets < <(chosen_targets)
    for target in "${targets[@]}"; do
        echo "fuzzing $target for $SECONDS_EACH s"
        fuzz "$target" || crashed+=("$target")
    done
    print_table
    if ((${#crashed[@]})); then
        local crash
        for crash in "${crashed[@]}"; do explain_crash "$crash"; done
        exit 1
    fi
}

chosen_targets() {
    if ((${#TARGETS[@]})); then
        printf '%s\n' "${TARGETS[@]}"
    else
        cargo +nightly fuzz list | grep -vx deep_session
    fi
}

need_tools() {
    if [[ ! "$SECONDS_EACH" =~ ^[1-9][0-9]*$ ]]; then
        echo "usage: scripts/fuzz.sh [SECONDS [TARGET...]]" >&2
        exit 2
    fi
    if ! cargo +nightly --version >/dev/null 2>&1; then
        echo "fuzzing needs a nightly compiler: rustup toolchain install nightly" >&2
        exit 1
    fi
    if ! cargo fuzz --version >/dev/null 2>&1; then
        echo "installing cargo-fuzz"
        cargo install cargo-fuzz --locked
    fi
}

fuzz() {
    local target=$1 found=fuzz/target/corpus/$1
    mkdir -p "$found"
    # The first directory is written to, the second only read.
    cargo +nightly fuzz run "${BUILD[@]}" "$target" "$found" \
        "tests/fuzz_corpus/${target#deep_}" -- \
        -max_total_time="$SECONDS_EACH" -max_len="$(max_input_bytes "$target")" \
        -dict=fuzz/frames.dict -timeout=10 -print_final_stats=1 >"$LOGS/$target" 2>&1
}

# Longer inputs are slower and reach nothing new: a program and a dozen frames, a dozen intervals of
# a log, a report with two of its rates.
max_input_bytes() {
    case "$1" in
        raw | framed | client | differential | lifecycle) echo 512 ;;
        report) echo 8192 ;;
        *) echo 2048 ;;
    esac
}

print_table() {
    local log
    printf '\n%-12s %12s %12s %10s %10s\n' target executions per-second coverage features
    for log in "${targets[@]/#/$LOGS/}"; do
        printf '%-12s %12s %12s %10s %10s\n' "${log##*/}" \
            "$(last 'stat::number_of_executed_units: *\([0-9]*\)' "$log")" \
            "$(last 'stat::average_exec_per_sec: *\([0-9]*\)' "$log")" \
            "$(last '.* cov: \([0-9]*\).*' "$log")" \
            "$(last '.* ft: \([0-9]*\).*' "$log")"
    done
}

# The last number that a pattern finds in a log, or a dash.
last() {
    local found
    found=$(sed -n "s/^$1.*$/\1/p" "$2" | tail -n 1)
    echo "${found:--}"
}

explain_crash() {
    local artifact
    artifact=$(sed -n 's/^.*Test unit written to //p' "$LOGS/$1" | tail -n 1)
    echo
    echo "$1 crashed:"
    grep -m 1 -A 4 -E 'panicked at|ERROR: ' "$LOGS/$1" || tail -n 20 "$LOGS/$1"
    echo "whole log: $LOGS/$1"
    if [[ -n "$artifact" ]]; then
        echo "run it again: cargo +nightly fuzz run ${BUILD[*]} $1 $artifact"
        echo "keep it: cp $artifact tests/fuzz_corpus/${1#deep_}/WHAT-IT-SHOWS (cargo test then replays it)"
    fi
}

main
