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

readonly PAIRS="${1:-6}"
read -ra LOAD <<<"${LOAD:--c 64 -s 64 -d 2s --warmup 500ms}"

servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true' EXIT

main() {
    cargo build --release --quiet
    cargo build --release --quiet --manifest-path benches/peers/Cargo.toml
    local ringback epoll pair a b ratios=()
    start target/release/ringback serve 127.0.0.1:0 --cpus 0
    ringback=$address
    start benches/peers/target/release/epoll-echo 127.0.0.1:0 0
    epoll=$address
    echo "CPU of the server per echo, load ${LOAD[*]}"
    for ((pair = 1; pair <= PAIRS; pair++)); do
        if ((pair % 2)); then
            a=$(cpu_per_message "$ringback") && b=$(cpu_per_message "$epoll")
        else
            b=$(cpu_per_message "$epoll") && a=$(cpu_per_message "$ringback")
        fi
        ratios+=("$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f", a / b }')")
        printf 'pair %d: ringback %5.0f ns, epoll %5.0f ns, ratio %s\n' "$pair" "$a" "$b" "${ratios[-1]}"
    done
    printf '%s\n' "${ratios[@]}" | sort -n |
        awk '{ r[NR] = $1 } END { printf "median ratio %.3f, from %s to %s\n",
            (r[int((NR + 1) / 2)] + r[int(NR / 2) + 1]) / 2, r[1], r[NR] }'
}

# Starts a server in the background; leaves where it listens in $address.
start() {
    local log
    log=$(mktemp)
    "$@" 2>"$log" &
    servers+=($!)
    for _ in {1..100}; do
        address=$(sed -n 's/^listening on //p' "$log")
        [[ -z "$address" ]] || { rm "$log"; return 0; }
        sleep 0.05
    done
    echo "$1 did not start:" && cat "$log" && rm "$log"
    return 1
}

cpu_per_message() {
    target/release/ringback-load "$1" --cpus 1 --quiet --format json "${LOAD[@]}" |
        sed -n 's/.*"cpu_ns_per_message": *\([0-9.]*\).*/\1/p'
}

main
