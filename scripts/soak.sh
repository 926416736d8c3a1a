#!/usr/bin/env bash
# The tests at full size, for a night: scripts/soak.sh
#
# A million short connections, 100 restarts under load, 100 MB half-closed towards slow readers;
# hostile peers by the thousand: 5,500 idle ones after a frame byte by byte, 500 that half-close
# before they read, frames begun 20,000 times and given up; 210 second signals, ten at every
# millisecond from 0 to 20 after 100 half-closes; all of that for every driver. Thousands of seeds of
# the simulation, the kernel that most servers run, 200 rolling updates, planted bugs, long fuzzing.
# Runs everything, whatever became of what went before, ends with a summary, and exits non-zero when
# anything failed.
#
#   SOAK_ROUNDS    how often the tests over sockets run, 1 without it
#   SOAK_SEEDS     seeds of the simulation, 5000 without it
#   FUZZ_SECONDS   how long each fuzz target runs, 600 without it; 0 leaves fuzzing out
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly ROUNDS="${SOAK_ROUNDS:-1}"
readonly SEEDS="${SOAK_SEEDS:-5000}"
readonly FUZZ_SECONDS="${FUZZ_SECONDS:-600}"
readonly LOGS=target/soak

summary=()
failures=0

main() {
    mkdir -p "$LOGS"
    cargo build --release --tests --bins
    local round
    for ((round = 1; round <= ROUNDS; round++)); do
        step "conformance, round $round of $ROUNDS" over_sockets
    done
    step "simulation, $SEEDS seeds" simulate
    step "Linux 6.1, emulated" scripts/kernel-test.sh
    step "rolling updates" env UPDATES=200 scripts/deploy-check.sh target/release
    step "mutants" scripts/mutants.sh
    if ((FUZZ_SECONDS > 0)); then
        step "fuzzing, $FUZZ_SECONDS s a target" scripts/fuzz.sh "$FUZZ_SECONDS"
    fi
    print_summary
    ((failures == 0))
}

# RBTEST_SOAK makes the tests use their full sizes.
over_sockets() {
    RBTEST_SOAK=1 cargo test --release --no-fail-fast --test server -- conformance:: systemd::
}

simulate() {
    RBTEST_SIM_SEEDS="$SEEDS" cargo test --release --test simulation
}

step() {
    local name=$1 started=$SECONDS result=ok log
    shift
    log="$LOGS/${name//[^a-z0-9]/-}.log"
    printf '\n=== %s\n' "$name"
    "$@" 2>&1 | tee "$log" || result=FAILED
    [[ "$result" == ok ]] || failures=$((failures + 1))
    summary+=("$(printf '%-40s %-7s %5d s   %s' "$name" "$result" $((SECONDS - started)) "$log")")
}

print_summary() {
    printf '\n=== soak\n'
    printf '%s\n' "${summary[@]}"
    echo "${#summary[@]} steps, $failures failed"
}

main
