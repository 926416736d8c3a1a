#!/usr/bin/env bash
# The percentiles that one, two and four generators find at the same total rate: scripts/scaling.sh
#
# The server runs on CPU 0, all generators on CPU 1, each in a network namespace of its own with a
# link to the server's. Every round measures with one generator, with two parts of a run and with
# four, every other round backwards; their logs are merged. Prints the median over the rounds with
# its 95 % interval, and whether the medians of the parts lie within what the single runs found.
# Exits with 1 where one does not. Needs root, iproute2 and the whole of two CPUs.
#
#   ROUNDS       6 without it, of which each takes half a minute; with fewer there is no interval
#   RATE         of all parts together, 2000 without it; at much more they poll at the same time
#   CONNECTIONS  of all parts together, 64 without it
#   DURATION     of a measurement, 6s without it; a second of warm-up comes before
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

readonly ROUNDS="${ROUNDS:-6}" RATE="${RATE:-2000}" CONNECTIONS="${CONNECTIONS:-64}"
readonly DURATION="${DURATION:-6s}"
readonly NUMBERS_OF_PARTS=(1 2 4) PERCENTILES=(p50 p90 p99 p99_9)
# Of the server, for all alike: parts of one run have one target. Networks of RFC 2544.
readonly SERVER=198.18.255.1:65432
# A run that the host made invalid is measured again, so often.
readonly TRIES=10
# Until all parts have started and made their connections.
readonly HEAD_START_S=3

main() {
    need_number ROUNDS "$ROUNDS"
    need_number RATE "$RATE"
    need_number CONNECTIONS "$CONNECTIONS"
    if [[ -z "${IN_NAMESPACE:-}" ]]; then
        ((EUID == 0)) || { echo "network namespaces need root" >&2; exit 1; }
        need_two_cpus
        cargo build --release --locked --quiet --bins
        IN_NAMESPACE=1 exec unshare --net --mount --propagation private scripts/scaling.sh
    fi
    work=$(mktemp -d)
    trap 'stop_servers; rm -r "$work"' EXIT
    make_network
    start_server "$RINGBACK" serve "$SERVER" --cpus 0
    local round parts
    for ((round = 1; round <= ROUNDS; round++)); do
        for parts in $(in_turn "$round"); do measure "$parts"; done
        echo "round $round of $ROUNDS done" >&2
    done
    print_table
}

# A namespace for each generator, in this one that of the server; names that nobody else sees.
make_network() {
    ip link set lo up
    ip address add "${SERVER%:*}/32" dev lo
    mkdir -p /run/netns
    mount -t tmpfs tmpfs /run/netns
    local part
    for ((part = 0; part < NUMBERS_OF_PARTS[-1]; part++)); do
        ip netns add "part$part"
        ip link add "to$part" type veth peer name eth0 netns "part$part"
        ip address add "198.18.$part.1/24" dev "to$part"
        ip link set "to$part" up
        ip -n "part$part" address add "198.18.$part.2/24" dev eth0
        ip -n "part$part" link set lo up
        ip -n "part$part" link set eth0 up
        ip -n "part$part" route add "${SERVER%:*}" dev eth0
    done
}

in_turn() {
    if (($1 % 2)); then
        printf '%s\n' "${NUMBERS_OF_PARTS[@]}"
    else
        printf '%s\n' "${NUMBERS_OF_PARTS[@]}" | tac
    fi
}

# One run by so many generators, merged; adds its percentiles to the files of that number.
measure() {
    local parts=$1 try percentile found code
    for ((try = 1; try <= TRIES; try++)); do
        rm -f "$work"/part-*.hlog
        run_parts "$parts"
        code=0
        "$RINGBACK_LOAD" merge "$work"/part-*.hlog --format json -o "$work/merged.json" || code=$?
        ((code == 0 || code == 4)) || exit 1
        if ((code == 0)); then
            for percentile in "${PERCENTILES[@]}"; do
                found=$(json_value response "$percentile" <"$work/merged.json")
                [[ "$found" != null ]] || {
                    echo "too few samples for $percentile: a longer DURATION, or a higher RATE" >&2
                    exit 1
                }
                echo "$found" >>"$work/$parts.$percentile"
            done
            return
        fi
        echo "$parts: not valid, try $try of $TRIES:$(first_reason <"$work/merged.json")" >&2
    done
    echo "no valid run of $parts: reduce other load on this host, or RATE" >&2
    exit 1
}

# Each polls before a message is due, which parts of one run do in turn, at a rate that leaves time.
run_parts() {
    local parts=$1 part start
    local -a generators=()
    start=$(($(date +%s) + HEAD_START_S))
    for ((part = 0; part < parts; part++)); do
        ip netns exec "part$part" "$RINGBACK_LOAD" "$SERVER" --cpus 1 \
            --part "$part/$parts" --start-at "$start" --rate "$RATE" \
            --connections "$CONNECTIONS" --duration "$DURATION" --quiet \
            --hlog "$work/part-$part.hlog" -o /dev/null 2>"$work/part-$part.err" &
        generators+=("$!")
    done
    for part in "${!generators[@]}"; do
        # What is not valid is so in the log, too, and is for the merge to say.
        wait "${generators[part]}" || (($? == 4)) || cat "$work/part-$part.err" >&2
    done
}

# The first reason of a verdict in the report on the standard input.
first_reason() {
    sed -n '/"reasons": \[$/ { n; s/^ *"/ /; s/",*$//; p }' | head -n 1
}

print_table() {
    echo "microseconds at $RATE messages/s, $CONNECTIONS connections × 64 B," \
        "$DURATION, $ROUNDS rounds;" \
        "$(cpu_model), Linux $(uname -r), $(date +%F), ringback $(revision)"
    local parts percentile status=0
    printf 'parts'
    printf '%26s' "${PERCENTILES[@]}"
    echo
    for parts in "${NUMBERS_OF_PARTS[@]}"; do
        printf '%5s' "$parts"
        for percentile in "${PERCENTILES[@]}"; do
            printf '%26s' "$(median_and_interval <"$work/$parts.$percentile" | show_times)"
        done
        echo
    done
    for parts in "${NUMBERS_OF_PARTS[@]:1}"; do
        for percentile in "${PERCENTILES[@]}"; do
            is_within "$parts" "$percentile" || status=1
        done
    done
    ((status)) || echo "the medians of the parts are within the range of the single runs"
    return "$status"
}

# MEDIAN LOW HIGH in nanoseconds, in microseconds.
show_times() {
    awk '{ printf "%.1f", $1 / 1000
        if ($2 != "null") printf " [%.1f, %.1f]", $2 / 1000, $3 / 1000 }'
}

is_within() {
    local parts=$1 percentile=$2 least most median
    least=$(sort -g "$work/1.$percentile" | head -n 1)
    most=$(sort -g "$work/1.$percentile" | tail -n 1)
    median=$(median <"$work/$parts.$percentile")
    awk -v median="$median" -v least="$least" -v most="$most" -v what="$percentile, $parts parts" '
        BEGIN {
            if (median >= least && median <= most) exit 0
            printf "%s: %.1f µs, where single runs found %.1f to %.1f\n", what,
                median / 1000, least / 1000, most / 1000
            exit 1
        }'
}

main "$@"
