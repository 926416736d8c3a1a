# shellcheck shell=bash disable=SC2034 # the scripts that source it use its names
# What the measuring scripts share: programs, servers, runs of the load generator, medians.
#
# They source it from the top of the repository. The server runs on CPU 0, the generator on CPU 1.

readonly RINGBACK=target/release/ringback
readonly RINGBACK_LOAD=target/release/ringback-load
readonly PEERS=benches/peers/target/release

servers=()
trap stop_servers EXIT

build_release() {
    if (($(nproc) < 2)); then
        echo "measuring needs two CPUs, one for the server and one for the generator" >&2
        return 1
    fi
    cargo build --release --quiet
    cargo build --release --quiet --manifest-path benches/peers/Cargo.toml
}

# Ends the script unless a setting is a whole number above 0: need_number NAME VALUE
need_number() {
    [[ "$2" =~ ^[1-9][0-9]*$ ]] || {
        echo "$1 is \"$2\", not a whole number above 0" >&2
        exit 2
    }
}

# Starts a server in the background; leaves where it listens in $address.
start_server() {
    local log
    log=$(mktemp)
    "$@" 2>"$log" &
    servers+=($!)
    for _ in {1..100}; do
        address=$(sed -n 's/^listening on //p' "$log")
        [[ -z "$address" ]] || { rm "$log"; return 0; }
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
    "$RINGBACK_LOAD" "$target" --cpus 1 --quiet --format json "$@" || code=$?
    ((code == 0 || code == 4))
}

# A value of such a report on the standard input: json_value OBJECT KEY, of the first such OBJECT.
json_value() {
    awk -v object="\"$1\":" -v key="\"$2\":" '
        $1 == object && $2 == "{" { inside = 1 }
        inside && !found && $1 == key { sub(/,$/, "", $2); print $2; found = 1 }
        /}/ { inside = 0 }'
}

# Measures two things in turn, in the order ABBA over pairs: PAIRS NAME COMMAND NAME COMMAND. A
# command prints nanoseconds. Prints each pair and the median of the ratios.
compare_in_pairs() {
    local pairs=$1 name_a=$2 name_b=$4 pair a b ratios=()
    local -a measure_a measure_b
    read -ra measure_a <<<"$3"
    read -ra measure_b <<<"$5"
    for ((pair = 1; pair <= pairs; pair++)); do
        if ((pair % 2)); then
            a=$("${measure_a[@]}")
            b=$("${measure_b[@]}")
        else
            b=$("${measure_b[@]}")
            a=$("${measure_a[@]}")
        fi
        ratios+=("$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f", a / b }')")
        printf 'pair %d: %s %5.0f ns, %s %5.0f ns, ratio %s\n' \
            "$pair" "$name_a" "$a" "$name_b" "$b" "${ratios[-1]}"
    done
    local median least most
    read -r median least most < <(printf '%s\n' "${ratios[@]}" | median_and_range)
    printf 'median ratio %.3f, from %.3f to %.3f\n' "$median" "$least" "$most"
}

# The median, and what it lies between, of the numbers on the standard input, one a line.
median_and_range() {
    sort -g | awk '{ v[NR] = $1 }
        END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, v[1], v[NR] }'
}
