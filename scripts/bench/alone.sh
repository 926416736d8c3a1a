# shellcheck shell=bash disable=SC2153,SC2154 # scripts/bench.sh sets the settings
# Figures of ringback that no comparison with another server gives: beside the floor, without load,
# frames beside bytes, the core alone.

# Both ends of each connection in one thread that never waits: no server can cost much less.
measure_floor() {
    start_server "$RINGBACK" serve 127.0.0.1:0 --cpus 0
    judge_pairs a '64 connections × 64 B' 'cpu<=1.15' floor \
        "server_cpu $address -c 64 -s 64" cpu_of_floor
    stop_servers
}

cpu_of_floor() {
    "$PEERS/floor" 64 64 "$(seconds "$duration")" 0 | sed -n 's/.* \([0-9]*\) ns of CPU.*/\1/p'
}

# Nanoseconds of CPU a message, "null" where the run was not valid: server_cpu ADDRESS LOAD...
server_cpu() {
    run_load "$1" --cpus 1 "${run_options[@]}" "${@:2}" >"$work/report"
    if [[ "$(json_value verdict valid <"$work/report")" == true ]]; then
        json_value server_cpu cpu_ns_per_message <"$work/report"
    else
        echo null
    fi
}

# A server that polls must stop polling when nobody speaks.
measure_idle_spin() {
    local shares
    # shellcheck disable=SC2086 # options are words
    start_server "$RINGBACK" serve 127.0.0.1:0 --cpus 0 $SPIN
    shares=$(for ((round = 0; round < pairs; round++)); do idle_share "$server" "$address"; done)
    stop_servers
    judge b 'one second after the last message' 'share of a CPU<=0.02' '-' \
        "$(median_and_interval <<<"$shares")"
}

# The share of a CPU that a server takes in the second that follows a second of silence.
idle_share() {
    local before
    run_load "$2" --cpus 1 -c 1 -s 64 "${run_options[@]}" >/dev/null
    sleep 1
    before=$(cpu_ns "$1")
    sleep 1
    awk -v before="$before" -v after="$(cpu_ns "$1")" 'BEGIN { print (after - before) / 1e9 }'
}

# CPU time of a process so far, of all its threads.
cpu_ns() {
    cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# Checksums beside none, where both copy: raw bulk of ringback's goes through a pipe, so there it
# is a server that copies.
measure_frames_against_bytes() {
    local raw framed
    start_server "$RINGBACK" serve 127.0.0.1:0 --cpus 0
    raw=$address
    # shellcheck disable=SC2086 # options are words
    start_server "$RINGBACK" serve 127.0.0.1:0 --cpus 0 $FRAMED $FRAMED_LIMIT
    framed=$address
    progress 'j: frames of 64 B'
    judge_pairs j 'framed, 64 × 64 B' 'cpu<=1.05' 'ringback raw' \
        "server_cpu $framed -c 64 -s 64 $FRAMED" "server_cpu $raw -c 64 -s 64"
    start_server "$PEERS/epoll-echo" 127.0.0.1:0 0
    progress 'j: frames of 64 KiB'
    judge_pairs j 'framed, 8 × 64 KiB' 'cpu<=1.25' 'epoll raw' \
        "server_cpu $framed -c 8 -s 64KiB $FRAMED" "server_cpu $address -c 8 -s 64KiB"
    stop_servers
}

# The core alone: its time by criterion, its instructions by callgrind.
measure_core() {
    local small large
    progress 'k: the core alone'
    cargo bench --quiet --locked --bench hot_paths -- core/framed \
        >"$work/core" 2>"$work/errors" || cat "$work/errors" >&2
    small=$(criterion_ns core/framed-64B)
    large=$(criterion_ns core/framed-64KiB)
    judge k 'a frame of 64 B' 'ns<=25' - "$small"
    large=$(awk 'NF { print 65536 / $1, 65536 / $3, 65536 / $2 }' <<<"$large")
    judge k 'frames of 64 KiB' 'GB/s>=10' - "$large"
    {
        heading 'k: instructions of the core, by scripts/instructions.sh'
        scripts/instructions.sh core/framed-64B core/framed-64KiB 2>&1 | sed 's/^/    /' || true
    } >>"$work/surveys"
}

# "MEDIAN LOW HIGH" in nanoseconds of a line `NAME time: [LOW UNIT MEDIAN UNIT HIGH UNIT]`, whose
# name may stand on a line before it.
criterion_ns() {
    tr -d '[]' <"$work/core" | awk -v name="$1" '
        BEGIN { ns["ps"] = 1e-3; ns["ns"] = 1; ns["µs"] = 1e3; ns["ms"] = 1e6 }
        $1 == name { inside = 1 }
        inside && match($0, /time: +/) {
            split(substr($0, RSTART + RLENGTH), word, " +")
            print word[3] * ns[word[4]], word[1] * ns[word[2]], word[5] * ns[word[6]]
            exit
        }'
}
