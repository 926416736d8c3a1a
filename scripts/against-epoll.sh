#!/usr/bin/env bash
# CPU per echo of ringback and of a minimal epoll server, measured in turn in one run:
# scripts/against-epoll.sh [PAIRS]
#
# Both servers run on CPU 0, the generator on CPU 1; every pair measures them one after the other,
# in the order ABBA over pairs. Prints each pair and the median of the ratios.
#
#   LOAD   options of the load, '-c 64 -s 64 -d 2s --warmup 500ms' without it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

readonly PAIRS="${1:-6}"
read -ra LOAD <<<"${LOAD:--c 64 -s 64 -d 2s --warmup 500ms}"

main() {
    need_number PAIRS "$PAIRS"
    build_release
    local ringback epoll
    start_server "$RINGBACK" serve 127.0.0.1:0 --cpus 0
    ringback=$address
    start_server "$PEERS/epoll-echo" 127.0.0.1:0 0
    epoll=$address
    echo "CPU of the server per echo, load ${LOAD[*]}"
    compare_in_pairs "$PAIRS" \
        ringback "cpu_per_echo $ringback" \
        epoll "cpu_per_echo $epoll"
}

cpu_per_echo() {
    run_load "$1" "${LOAD[@]}" | json_value server_cpu cpu_ns_per_message
}

main
