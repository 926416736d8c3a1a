# shellcheck shell=bash disable=SC2153,SC2154 # scripts/bench.sh sets the settings
# The scenarios of scripts/bench/scenarios.txt: all peers in turn, then ringback beside the best.

# Those that sleep: nonblocking-echo never does, and so its CPU says nothing.
readonly ECHO='blocking poll epoll tokio monoio tokio-uring ring'
# Of both sides, and of a server that is to take frames of 4 MiB.
readonly FRAMED='--protocol framed' FRAMED_LIMIT='--max-frame 8MiB'
readonly SPIN='--spin 50us'

measure_scenarios() {
    local row scenario options load peers targets
    while IFS=';' read -r row scenario options load peers targets; do
        [[ -n "$row" ]] || continue
        wants "$row" || continue
        scenario=$(trim "$scenario")
        progress "$row: $scenario"
        measure_scenario "$row" "$scenario" "$options" "$load" "$(trim "$peers")" "$targets"
    done < <(grep -v "^#" scripts/bench/scenarios.txt)
}

measure_scenario() {
    local row=$1 scenario=$2 options=$3 peers=$5 peer target
    local -a load=() survey=()
    resolve_load "$4"
    for peer in $(peers_of "$peers"); do survey+=("$peer"); done
    survey_servers "$row" "$scenario" "$options" "${survey[@]}"
    for target in $6; do
        judge_scenario "$row" "$scenario" "$options" "$target" "${survey[@]}"
    done
}

# The peers of a word of the table.
peers_of() {
    case "$1" in
        echo) echo "$ECHO" ;;
        all) echo "$ECHO splice" ;;
        framed) echo framed ;;
        asleep) echo ringback-asleep ;;
        threads) echo epoll-shared ring-shared tokio-shared ;;
    esac
}

# Puts the words of the load into `load`: rates are shares of what ringback can do.
resolve_load() {
    local word
    for word in $1; do
        case "$word" in
            FRAMED) load+=(--protocol framed) ;;
            SHARED) load+=(--cpus '0,1') ;;
            *%) load+=("$(share_of_capacity "${word%\%}")") ;;
            *) load+=("$word") ;;
        esac
    done
    [[ "${load[*]}" == *--cpus* ]] || load+=(--cpus 1)
}

# So many percent of the messages a second of a closed loop, which is measured once.
share_of_capacity() {
    if [[ ! -e "$work/capacity" ]]; then
        start_server "$RINGBACK" serve 127.0.0.1:0 --cpus 0
        run_load "$address" --cpus 1 -c 64 -s 64 "${run_options[@]}" |
            json_value throughput messages_per_s >"$work/capacity"
        stop_servers
    fi
    awk -v percent="$1" '{ print int($1 * percent / 100) }' "$work/capacity"
}

# How a server is started, with {addr} for its address: server_command NAME OPTIONS.
server_command() {
    case "$1" in
        ringback) echo "$RINGBACK serve {addr} $(ringback_options "$2")" ;;
        ringback-asleep) echo "$RINGBACK serve {addr} --cpus 0" ;;
        *-shared) echo "$PEERS/${1%-shared}-echo {addr} 0,1" ;;
        *) echo "$PEERS/$1-echo {addr} 0" ;;
    esac
}

ringback_options() {
    case "$(trim "$1")" in
        SPIN) echo "--cpus 0 $SPIN" ;;
        FRAMED) echo "--cpus 0 $FRAMED $FRAMED_LIMIT" ;;
        SHARED) echo '--cpus 0,1' ;;
        *) echo '--cpus 0' ;;
    esac
}

# Runs all in turn, every other round backwards, and prints the medians as a table. Leaves the
# figures of SERVER in $work/SERVER.METRIC.
survey_servers() {
    local row=$1 scenario=$2 options=$3 round name
    shift 3
    local -a servers_in_turn=(ringback "$@")
    rm -f "$work"/*.{cpu,throughput,p50,p99,p99.9,invalid}
    for ((round = 1; round <= rounds; round++)); do
        for name in "${servers_in_turn[@]}"; do
            survey_server "$name" "$(server_command "$name" "$options")"
        done
        mapfile -t servers_in_turn < <(printf '%s\n' "${servers_in_turn[@]}" | tac)
    done
    {
        heading "$row: $scenario"
        echo "\`ringback serve $(ringback_options "$options")\`, load \`${load[*]}\`"
        echo
        echo '| server | messages/s | CPU µs | p50 µs | p99 µs | p99.9 µs |'
        echo '| --- | ---: | ---: | ---: | ---: | ---: |'
        for name in ringback "$@"; do
            echo "| $name$(mark_of "$name") | $(figure "$name" throughput 1 0)" \
                "| $(figure "$name" cpu 1000 2)" \
                "| $(figure "$name" p50 1000 1) | $(figure "$name" p99 1000 1)" \
                "| $(figure "$name" p99.9 1000 1) |"
        done
    } >>"$work/surveys"
}

# Tries again where the host made a run invalid; marks the server where that does not help.
survey_server() {
    local name=$1 latency=service attempt command
    [[ "${load[*]}" != *' -r '* ]] || latency=response
    read -ra command <<<"${2/\{addr\}/127.0.0.1:0}"
    start_server "${command[@]}"
    for attempt in {1..3}; do
        run_load "$address" "${load[@]}" "${run_options[@]}" >"$work/report" || break
        [[ "$(json_value verdict valid <"$work/report")" != true ]] || break
        ((attempt < 3)) || : >"$work/$name.invalid"
    done
    stop_servers
    json_value server_cpu cpu_ns_per_message <"$work/report" >>"$work/$name.cpu"
    json_value throughput messages_per_s <"$work/report" >>"$work/$name.throughput"
    json_value "$latency" p50 <"$work/report" >>"$work/$name.p50"
    json_value "$latency" p99 <"$work/report" >>"$work/$name.p99"
    json_value "$latency" p99_9 <"$work/report" >>"$work/$name.p99.9"
}

# The median of a server's figures in units of UNIT with so many digits: figure NAME METRIC UNIT
# DIGITS; "-" where there is none.
figure() {
    { grep -v null "$work/$1.$2" 2>/dev/null || true; } | median |
        awk -v unit="$3" -v digits="$4" '{ printf "%.*f", digits, $1 / unit; found = 1 }
            END { if (!found) printf "-" }'
}

# Compares ringback with the best peer by the metric of a target such as cpu<=1.00.
judge_scenario() {
    local row=$1 scenario=$2 options=$3 target=$4 metric best a b
    shift 4
    metric=${target%%[<>]*}
    best=$(best_of "$metric" "$@")
    a=$(server_command "$best" '')
    b=$(server_command ringback "$options")
    progress "$row: $scenario, $metric beside $best"
    judge "$row" "$scenario" "$target" "$best" "$(compare "$metric" "$a" "$b" "${load[@]}")"
}

# The server with the best median of a metric, of those whose runs were valid if there are any.
best_of() {
    local metric=$1 server order=(sort -g)
    shift
    [[ "$metric" != throughput ]] || order=(sort -gr)
    for server in "$@"; do
        echo "$(figure "$server" "$metric" 1 3) $server$(mark_of "$server")"
    done >"$work/candidates"
    { grep -v '^-\|!$' "$work/candidates" || cat "$work/candidates"; } | "${order[@]}" |
        sed -n '1s/.* \([^!]*\).*/\1/p'
}

mark_of() {
    [[ ! -e "$work/$1.invalid" ]] || echo '!'
}

# The ratio of B to A as "MEDIAN LOW HIGH CONTROL_LOW CONTROL_HIGH": compare METRIC A B LOAD...
compare() {
    local metric=$1 code=0
    local -a line=(compare --metric "$metric" --a "$2" --b "$3" --blocks "$blocks"
        "${run_options[@]}" "${@:4}")
    if [[ "${*:4}" == *'--cpus 0,1'* ]]; then
        line+=(--server-cpus '0,1')
    else
        line+=(--server-cpus 0)
    fi
    show_command ringback-load "${line[@]}" >>"$work/commands"
    "$RINGBACK_LOAD" "${line[@]}" --quiet --format json \
        >"$work/comparison" 2>"$work/errors" || code=$?
    ((code == 0 || code == 4)) || { cat "$work/errors" >&2 && return 1; }
    if grep -q '^  "valid": false' "$work/comparison"; then
        explain_invalid >>"$work/invalid"
        echo null null null null null
        return
    fi
    local object key
    for object in 'ratio median' 'ratio low' 'ratio high' 'control low' 'control high'; do
        read -r object key <<<"$object"
        json_value "$object" "$key" <"$work/comparison" | grep . || echo null
    done | paste -sd ' '
}

# In one line, as a shell would read it.
show_command() {
    local word words=()
    for word in "$@"; do
        [[ "$word" != *' '* ]] || word="'$word'"
        words+=("$word")
    done
    echo "${words[*]}"
}

# Why the last comparison decides nothing.
explain_invalid() {
    tail -n 1 "$work/commands"
    sed -n '/^  "reasons": \[/,/^  \]/ s/^    /# /p' "$work/comparison"
    grep -o '"run [0-9].*' "$work/comparison" | sed -n '1s/^/# the first of them: /p'
}
