# shellcheck shell=bash disable=SC2034 # the scripts that source it use its names
# What the measuring scripts share: programs, servers, runs of the generator, medians, the host.
#
# They source it from the top of the repository. The server runs on CPU 0, the generator on CPU 1.

readonly RINGBACK=target/release/ringback
readonly RINGBACK_LOAD=target/release/ringback-load
readonly PEERS=benches/peers/target/release

servers=()
trap stop_servers EXIT

build_release() {
    need_two_cpus
    cargo build --release --quiet
    cargo build --release --quiet --manifest-path benches/peers/Cargo.toml
}

need_two_cpus() {
    (($(nproc) >= 2)) || {
        echo "measuring needs two CPUs, one for the server and one for the generator" >&2
        exit 1
    }
}

# Ends the script unless a setting is a whole number above 0: need_number NAME VALUE
need_number() {
    [[ "$2" =~ ^[1-9][0-9]*$ ]] || {
        echo "$1 is \"$2\", not a whole number above 0" >&2
        exit 2
    }
}

# Starts a server in the background; leaves where it listens in $address, its process in $server.
start_server() {
    start 's/^listening on //p' "$@"
    address=$started
}

# Starts a program in the background and waits until it has said on its standard error what this
# program of sed prints: start SED COMMAND...; leaves that in $started, the process in $server.
start() {
    local pattern=$1 log
    shift
    log=$(mktemp)
    "$@" 2>"$log" &
    server=$!
    servers+=("$server")
    for _ in {1..600}; do
        started=$(sed -n "$pattern" "$log")
        [[ -z "$started" ]] || { rm "$log"; return 0; }
        sleep 0.05
    done
    { echo "$1 did not start:" && cat "$log" && rm "$log"; } >&2
    return 1
}

# Ends the servers that were started, and does not report how they ended.
stop_servers() {
    local server
    for server in ${servers[@]+"${servers[@]}"}; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    servers=()
}

# What the generator reports of a run against an address with these options, as JSON. A run that is
# not valid (exit code 4) has a report too, which says so.
run_load() {
    local target=$1 code=0
    shift
    "$RINGBACK_LOAD" "$target" --quiet --format json "$@" || code=$?
    ((code == 0 || code == 4))
}

# A value of such a report on the standard input: json_value OBJECT KEY, of the first such OBJECT.
json_value() {
    awk -v object="\"$1\":" -v key="\"$2\":" '
        $1 == object && $2 == "{" { inside = 1 }
        inside && !found && $1 == key { sub(/,$/, "", $2); print $2; found = 1 }
        /}/ { inside = 0 }'
}

# Measures two things in turn, in the order ABBA over pairs: ratios_in_pairs PAIRS COMMAND COMMAND.
# A command prints a number, or "null". Prints a line `A B A/B` for each pair.
ratios_in_pairs() {
    local count=$1 pair a b
    local -a measure_a measure_b
    read -ra measure_a <<<"$2"
    read -ra measure_b <<<"$3"
    for ((pair = 1; pair <= count; pair++)); do
        if ((pair % 2)); then
            a=$("${measure_a[@]}")
            b=$("${measure_b[@]}")
        else
            b=$("${measure_b[@]}")
            a=$("${measure_a[@]}")
        fi
        awk -v a="$a" -v b="$b" 'BEGIN { print a, b, a == "null" || b == "null" ? "null" : a / b }'
    done
}

# The median of the numbers on the standard input, one a line.
median() {
    median_and_interval | cut -d ' ' -f 1
}

# The median of the numbers on the standard input, one a line, and its 95 % interval: the ranks
# within which the median of what they are drawn from lies with that probability, whatever its
# distribution (the sign test's). Of fewer than six there is none, and "null" stands for its ends.
median_and_interval() {
    sort -g | awk '{ v[NR] = $1 }
        END {
            if (!NR) exit
            least = most = "null"
            probability = tail = 2 ^ -NR
            for (rank = 0; tail <= 0.025; tail += probability) {
                rank++
                least = v[rank]
                most = v[NR + 1 - rank]
                probability *= (NR - rank + 1) / rank
            }
            print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, least, most
        }'
}

cpu_model() {
    sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1
}

# The version, and the commit where this is a checkout.
revision() {
    "$RINGBACK" --version | tr -d '\n' | sed 's/^ringback //'
    git rev-parse --short HEAD 2>/dev/null | sed 's/.*/ (&)/' || true
}
