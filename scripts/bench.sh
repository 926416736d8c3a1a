#!/usr/bin/env bash
# How fast ringback is beside what else echoes, and beside what it is meant to reach:
# scripts/bench.sh [--quick] [--blocks N] [--noisy] [--row ROW]... [-o FILE]
#
# The server runs on CPU 0, the generator on CPU 1. Each scenario is first run with every peer in
# turn; then ringback is compared with the one that was best, by `ringback-load compare`, in blocks
# with a control. What that cannot measure is measured in pairs. A target is met where the 95 %
# interval of the ratio reaches it. Writes benches/results/DATE-HOST.md, losses included; its table
# takes some two hours on a quiet machine.
#
#   --row ROW   this row only, a to l; may be repeated
#   --quick     few short blocks: whether everything can be measured, not what it is
#   --blocks N  so many blocks of each comparison, and pairs: 20 without it
#   --noisy     writes also where ringback differs from itself by more than a tenth
#   -o FILE     writes there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
# shellcheck source=scripts/bench/scenarios.sh
source scripts/bench/scenarios.sh
# shellcheck source=scripts/bench/alone.sh
source scripts/bench/alone.sh
# shellcheck source=scripts/bench/memory.sh
source scripts/bench/memory.sh
# shellcheck source=scripts/bench/results.sh
source scripts/bench/results.sh

main() {
    parse_options "$@"
    build_release
    built=$(revision)
    work=$(mktemp -d)
    trap finish EXIT
    measure_control
    measure_scenarios
    ! wants a || measure_floor
    ! wants b || measure_idle_spin
    ! wants i || measure_idle_connections
    ! wants j || measure_frames_against_bytes
    ! wants k || measure_core
    is_complete=true
}

# What was measured is written down, also when something failed later or nobody wanted to wait.
finish() {
    stop_servers
    if [[ -s "$work/results" ]]; then
        mkdir -p "$(dirname "$output")"
        write_report >"$output"
        echo "wrote $output" >&2
    fi
    rm -r "$work"
}

parse_options() {
    rows='' output=benches/results/$(date +%F)-$(uname -n).md is_noisy=false
    is_complete=false
    readonly command_line="scripts/bench.sh $*"
    # Rounds of all peers, blocks of a comparison, and of what is measured in pairs.
    rounds=3 blocks=20 pairs=20 duration=1s warmup=300ms idle_connections=10000
    while (($#)); do
        case "$1" in
            --quick) rounds=1 blocks=3 pairs=6 duration=300ms warmup=100ms ;;
            --blocks) [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || usage; blocks=$2 pairs=$2; shift ;;
            --noisy) is_noisy=true ;;
            --row) [[ "${2:-}" == [a-l] ]] || usage; rows+=$2; shift ;;
            -o) output=${2:?}; shift ;;
            *) usage ;;
        esac
        shift
    done
    readonly rows output is_noisy rounds blocks pairs duration warmup idle_connections
    run_options=(--duration "$duration" --warmup "$warmup")
    readonly run_options
}

usage() {
    echo "usage: scripts/bench.sh [--quick] [--blocks N] [--noisy] [--row ROW]... [-o FILE]" >&2
    exit 2
}

wants() {
    [[ -z "$rows" || "$rows" == *"$1"* ]]
}

# ringback against itself. Leaves "MEDIAN LOW HIGH" in $control.
measure_control() {
    local server
    server=$(server_command ringback '')
    progress "control: ringback against itself"
    control=$(compare cpu "$server" "$server" -c 64 -s 64 --cpus 1)
    ! "$is_noisy" || return 0
    if awk '{ exit !($2 != "null" && $3 - $2 <= 0.1) }' <<<"$control"; then return; fi
    echo "this machine is too noisy: ringback's CPU per echo, compared with its own, is" \
        "$(show_interval "$control"), where the interval may be 0.1 wide; reduce other load, or" \
        "write all the same with --noisy" >&2
    [[ ! -s "$work/invalid" ]] || cat "$work/invalid" >&2
    exit 1
}

progress() {
    printf '%s  %s\n' "$(date +%T)" "$1" >&2
}

trim() {
    local text=$1
    text=${text#"${text%%[! ]*}"}
    echo "${text%"${text##*[! ]}"}"
}

# Of a time such as 300ms or 1s.
seconds() {
    case "$1" in
        *ms) awk -v ms="${1%ms}" 'BEGIN { print ms / 1000 }' ;;
        *) echo "${1%s}" ;;
    esac
}

main "$@"
