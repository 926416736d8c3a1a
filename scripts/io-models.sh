#!/usr/bin/env bash
# The I/O models side by side: every peer and every driver of ringback under the same loads, in one
# table: scripts/io-models.sh
#
# The server runs on CPU 0, the generator on CPU 1. A round starts every server in turn, loads it
# and ends it; every other round goes backwards. What is printed is the median over rounds. A server
# takes about twelve seconds a round.
#
#   ROUNDS     3 without it
#   DURATION   of a measurement, 2s without it; half a second of warm-up comes before
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

readonly ROUNDS="${ROUNDS:-3}"
readonly DURATION="${DURATION:-2s}"
# Of the generator's CPU: from here on it, not the server, limits the throughput.
readonly LIMIT_SHARE=0.95

# Of each server, by its place in the table.
models=() names=() commands=()

main() {
    need_number ROUNDS "$ROUNDS"
    build_release
    add_peers
    add_ringback
    samples=$(mktemp -d)
    trap 'stop_servers; rm -r "$samples"' EXIT
    local round place last=$((${#commands[@]} - 1))
    for ((round = 1; round <= ROUNDS; round++)); do
        for ((place = 0; place <= last; place++)); do
            measure $((round % 2 ? place : last - place))
        done
        echo "round $round of $ROUNDS done" >&2
    done
    print_head
    for ((place = 0; place <= last; place++)); do print_row "$place"; done
    print_foot
}

add_peers() {
    local peer
    add blocking blocking-echo "$PEERS/blocking-echo 127.0.0.1:0 0"
    add non-blocking nonblocking-echo "$PEERS/nonblocking-echo 127.0.0.1:0 0"
    for peer in poll-echo epoll-echo; do
        add multiplexed "$peer" "$PEERS/$peer 127.0.0.1:0 0"
    done
    for peer in tokio-echo tokio-uring-echo monoio-echo; do
        add asynchronous "$peer" "$PEERS/$peer 127.0.0.1:0 0"
    done
}

# Every driver that this build has and this host allows, and again with polling before it sleeps,
# where it can do that.
add_ringback() {
    local driver spin options said
    for driver in epoll tokio-uring uring; do
        for spin in '' '--spin 50us'; do
            options="--driver $driver${spin:+ $spin}"
            # shellcheck disable=SC2086 # options are words
            said=$("$RINGBACK" serve 127.0.0.1:0 --check $options 2>&1) || continue
            [[ "$said" != *'--spin does nothing'* ]] || continue
            add "$(model_of "$driver")" "ringback $options" \
                "$RINGBACK serve 127.0.0.1:0 --cpus 0 $options"
        done
    done
}

model_of() {
    if [[ "$1" == epoll ]]; then echo multiplexed; else echo asynchronous; fi
}

add() {
    models+=("$1")
    names+=("$2")
    commands+=("$3")
}

# One server under every load.
measure() {
    local place=$1 command
    read -ra command <<<"${commands[place]}"
    start_server "${command[@]}"
    load "$place" busy -c 64 -s 64
    keep "$place" busy rate throughput messages_per_s
    keep "$place" busy cpu server_cpu cpu_ns_per_message
    keep "$place" busy share host generator_cpu_share
    load "$place" single -c 1 -s 64
    keep "$place" single p50 service p50
    load "$place" open -c 64 -s 64 -r 20k
    keep "$place" open p50 response p50
    keep "$place" open p99 response p99
    load "$place" bulk -c 8 -s 64KiB
    keep "$place" bulk rate throughput bytes_per_s
    keep "$place" bulk cpu server_cpu cpu_ns_per_message
    stop_servers
}

# Leaves the report where `keep` finds it.
load() {
    local place=$1 name=$2
    shift 2
    run_load "$address" --cpus 1 -d "$DURATION" --warmup 500ms "$@" >"$samples/report"
    keep "$place" "$name" valid verdict valid
}

# Adds a value of the report to the samples of this place.
keep() {
    json_value "$4" "$5" <"$samples/report" >>"$samples/$1-$2-$3"
}

print_head() {
    cat <<END
ROUNDS=$ROUNDS DURATION=$DURATION scripts/io-models.sh, ringback $(revision), $(date +%F)
$(cpu_model), $(nproc) CPUs, Linux $(uname -r); medians, server on CPU 0, generator on CPU 1

                                                     closed, 64 × 64 B    1 × 64 B      open, 20,000/s        8 × 64 KiB
I/O model     server                                messages/s    CPU µs    p50 µs    p50 µs    p99 µs     MiB/s    CPU µs
END
}

print_row() {
    local place=$1 polls='' limit
    [[ "${names[place]}" != nonblocking-echo ]] || polls='*'
    limit=$(limit_mark "$place")
    row "${models[place]}" "${names[place]}" \
        "$(cell "$place" busy rate 1 0)$limit" "$(cell "$place" busy cpu 1000 2)$polls" \
        "$(cell "$place" single p50 1000 1)" \
        "$(cell "$place" open p50 1000 1)" "$(cell "$place" open p99 1000 0)" \
        "$(cell "$place" bulk rate 1048576 0)" "$(cell "$place" bulk cpu 1000 1)$polls"
}

# A number leaves room for a mark, so that marked and unmarked ones stand below each other.
row() {
    local value line
    printf -v line '%-14s%-38s' "$1" "$2"
    for value in "${@:3}"; do
        [[ "$value" == *[\*^!] ]] || value+=' '
        printf -v value '%10s' "$value"
        line+=$value
    done
    echo "${line%"${line##*[! ]}"}"
}

# The median of a sample in units of UNIT with so many digits, marked if a run was not valid:
# cell PLACE LOAD VALUE UNIT DIGITS
cell() {
    local median
    median=$(grep -v null "$samples/$1-$2-$3" | median) || true
    awk -v median="$median" -v unit="$4" -v digits="$5" \
        'BEGIN { if (median == "") printf "-"; else printf "%.*f", digits, median / unit }'
    if grep -qv true "$samples/$1-$2-valid"; then echo -n '!'; fi
}

limit_mark() {
    local share
    share=$(median <"$samples/$1-busy-share")
    awk -v share="$share" -v limit="$LIMIT_SHARE" 'BEGIN { if (share >= limit) printf "^" }'
}

print_foot() {
    cat <<'END'

CPU µs: of the server, for each message. p50, p99: from the send, in the open loop from when it was
due, to the reply.
  ^  the generator's CPU was the limit: the server could have done more
  *  polls without a pause: this is what time there was, divided by the messages
  !  a run was not valid: the generator says why when it is run by hand
END
}

main
