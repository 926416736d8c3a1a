#!/usr/bin/env bash
# CPU per message of ringback-load and of a minimal epoll client, measured in turn in one run:
# scripts/against-client.sh [PAIRS]
#
# Both load the same minimal server, which runs on CPU 0; they run on CPU 1. Every pair measures
# them one after the other, in the order ABBA over pairs. Prints each pair and the median of the
# ratios with its 95 % interval.
#
# A server that sleeps is woken at its clients' expense, and sleeps the more the slower they are:
# with nonblocking-echo, which never does, the ratio is of what the clients do themselves.
#
#   SERVER        epoll-echo without it, or another peer
#   CONNECTIONS   64 without it
#   SIZE          of a message in bytes, 64 without it
#   SECONDS_EACH  how long each is measured, 2 without it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

readonly PAIRS="${1:-6}"
readonly SERVER="${SERVER:-epoll-echo}"
readonly CONNECTIONS="${CONNECTIONS:-64}"
readonly SIZE="${SIZE:-64}"
readonly SECONDS_EACH="${SECONDS_EACH:-2}"

main() {
    need_number PAIRS "$PAIRS"
    need_number CONNECTIONS "$CONNECTIONS"
    need_number SIZE "$SIZE"
    need_number SECONDS_EACH "$SECONDS_EACH"
    build_release
    start_server "$PEERS/$SERVER" 127.0.0.1:0 0
    echo "CPU of the client per message, $CONNECTIONS connections of $SIZE B, closed loop, $SERVER"
    local pairs
    pairs=$(ratios_in_pairs "$PAIRS" "cpu_of_load $address" "cpu_of_client $address")
    awk '{ printf "pair %d: ringback-load %5.0f ns, epoll-client %5.0f ns, ratio %.3f\n",
        NR, $1, $2, $3 }' <<<"$pairs"
    cut -d ' ' -f 3 <<<"$pairs" | median_and_interval |
        awk '{ print "median ratio " $1 ", 95 % interval " $2 " to " $3 }'
}

cpu_of_load() {
    run_load "$1" --cpus 1 -c "$CONNECTIONS" -s "$SIZE" -d "${SECONDS_EACH}s" --warmup 500ms |
        json_value host generator_cpu_ns_per_message
}

cpu_of_client() {
    "$PEERS/epoll-client" "$1" "$CONNECTIONS" "$SIZE" "$SECONDS_EACH" 1 |
        sed -n 's/.* \([0-9]*\) ns of CPU.*/\1/p'
}

main
