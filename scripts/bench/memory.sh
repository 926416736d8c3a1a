# shellcheck shell=bash disable=SC2154 # scripts/bench.sh sets the settings
# Idle connections: the memory they take, and the active ones among them.

# What a connection costs that has had one echo: the slope from a tenth of them to all. Of the peers
# those that can have so many: not a thread for each, nor poll(2).
measure_idle_connections() {
    local name memory
    {
        heading "i: $idle_connections idle connections after one echo each"
        echo '| server | bytes each | beyond that, KiB | after their end, KiB |'
        echo '| --- | ---: | ---: | ---: |'
    } >>"$work/surveys"
    for name in ringback epoll tokio monoio tokio-uring ring; do
        progress "i: idle connections of $name"
        measure_memory "$name"
        awk -v name="$name" '{ print "| " name, int($1), int($2 / 1024), int($3 / 1024) " |" }' \
            OFS=' | ' <<<"$memory" >>"$work/surveys"
        [[ "$name" != ringback ]] || judge_memory "$memory"
    done
    measure_active_among_idle
}

# Leaves anonymous memory as "BYTES_EACH FIXED LEFT" in $memory: of a connection, beyond all of
# them, and ten seconds after their end.
measure_memory() {
    local few=$((idle_connections / 10)) base first all left command process
    read -ra command <<<"$(server_command "$1" '' | sed 's/{addr}/127.0.0.1:0/')"
    start_server "${command[@]}"
    process=$server
    base=$(anonymous_bytes "$process")
    start_idle "$few"
    first=$(anonymous_bytes "$process")
    start_idle $((idle_connections - few))
    all=$(anonymous_bytes "$process")
    kill "${servers[@]:1}"
    sleep 10
    left=$(anonymous_bytes "$process")
    stop_servers
    memory=$(awk -v base="$base" -v first="$first" -v all="$all" -v left="$left" \
        -v few="$few" -v count="$idle_connections" 'BEGIN {
            each = (all - first) / (count - few)
            print each, first - base - each * few, left - base
        }')
}

start_idle() {
    start 's/^idle connections: //p' "$PEERS/idle-client" "$address" "$1"
}

anonymous_bytes() {
    awk '$1 == "Anonymous:" { printf "%.0f", $2 * 1024 }' "/proc/$1/smaps_rollup"
}

judge_memory() {
    local each fixed left
    read -r each fixed left <<<"$1"
    judge i "$idle_connections idle connections" 'bytes each<=256' - "$each $each $each"
    judge i 'memory beyond them' 'MiB<=4' - "$(in_mib "$fixed")"
    judge i 'memory 10 s after their end' 'MiB<=4' - "$(in_mib "$left")"
}

in_mib() {
    awk -v bytes="$1" 'BEGIN { mib = bytes / 1048576; print mib, mib, mib }'
}

# One server with idle connections, one without.
measure_active_among_idle() {
    local among
    progress "i: 8 active connections among $idle_connections idle ones"
    start_server "$RINGBACK" serve 127.0.0.1:0 --cpus 0
    among=$address
    start_idle "$idle_connections"
    start_server "$RINGBACK" serve 127.0.0.1:0 --cpus 0
    judge_pairs i "8 × 64 B among $idle_connections idle ones" 'cpu<=1.00' 'ringback without' \
        "server_cpu $among -c 8 -s 64" "server_cpu $address -c 8 -s 64"
    stop_servers
}
