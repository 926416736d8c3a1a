#!/usr/bin/env bash
# Instructions that an operation of each hot path takes, counted by callgrind, beside those of the
# table in benches/instructions.txt: scripts/instructions.sh [--bless | --profile] [NAME...]
#
# Counts repeat on a machine where times do not. Fails where one is 5 % above the table's, or is not
# there. A count depends on the compiler and the architecture: for others than the table's it is
# printed, and fails nothing.
#
#   NAME       of hot paths, such as core/framed-64B; all without it
#   --bless    writes the table, of all; a figure that has not changed keeps its date
#   --profile  prints where the instructions of a path are, function by function
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TABLE=benches/instructions.txt
readonly LIMIT=1.05
# The function in whose calls instructions are counted, one call a path (benches/hot_paths.rs).
readonly COUNTED='hot_paths::counted'

main() {
    local action=compare
    case "${1:-}" in
        --bless) (($# == 1)) || usage; action=bless; shift ;;
        --profile) (($# == 2)) || usage; action=profile; shift ;;
        -*) usage ;;
    esac
    command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2 && exit 1; }
    directory=$(mktemp -d)
    trap 'rm -r "$directory"' EXIT
    count "$@" >"$directory/counts"
    if [[ "$action" == profile ]]; then
        callgrind_annotate "$directory/out.1"
    elif [[ "$action" == bless ]]; then
        write_table >"$directory/table"
        mv "$directory/table" "$TABLE"
        cat "$TABLE"
    elif [[ "$(compiler)" == "$(sed -n 's/^# compiler: //p' "$TABLE")" ]]; then
        compare "$#"
    else
        cat "$directory/counts"
        echo "not compared: the table is of another compiler than $(compiler)"
    fi
}

# Prints a line `NAME INSTRUCTIONS` for each path. Callgrind writes what it has counted whenever the
# function returns, into out.1, out.2 and so on.
count() {
    local runner name operations number=0
    runner="'valgrind', '--tool=callgrind', '--quiet', '--callgrind-out-file=$directory/out'"
    runner+=", '--toggle-collect=$COUNTED', '--dump-after=$COUNTED'"
    cargo bench --locked --quiet --bench hot_paths --config "target.'cfg(all())'.runner=[$runner]" \
        -- --count "$@" >"$directory/operations"
    while read -r name operations; do
        ((++number))
        sed -n 's/^totals: //p' "$directory/out.$number" |
            awk -v name="$name" -v operations="$operations" \
                '{ printf "%s %.1f\n", name, $1 / operations }'
    done <"$directory/operations"
}

# compare COUNT_OF_NAMES: with none, the table may hold no other paths either.
compare() {
    awk -v table="$TABLE" -v limit="$LIMIT" -v is_whole="$(($1 == 0))" '
        function fail(why) { failed = 1; return "  " why }
        FILENAME == table { if ($1 != "#") known[$1] = $2; next }
        {
            note = ""
            if (!($1 in known)) note = fail("not in the table")
            else if ($2 > known[$1] * limit) note = fail("more than " limit " times")
            else if ($2 * limit < known[$1]) note = "  less: --bless keeps it so"
            printf "%-28s %10.1f  table %10.1f%s\n", $1, $2, known[$1], note
            delete known[$1]
        }
        END {
            for (name in known) if (is_whole) print name fail("in the table, and no hot path")
            exit failed
        }' "$TABLE" "$directory/counts" || {
        echo "instructions differ from $TABLE; if they must: scripts/instructions.sh --bless"
        return 1
    }
}

write_table() {
    echo "# Instructions an operation of each hot path takes: scripts/instructions.sh --bless"
    echo "# compiler: $(compiler)"
    touch "$TABLE"
    awk -v table="$TABLE" -v today="$(date +%F)" '
        FILENAME == table { if ($1 != "#") { count[$1] = $2; date[$1] = $3 }; next }
        { printf "%-28s %10.1f  %s\n", $1, $2, (count[$1] == $2) ? date[$1] : today }
        ' "$TABLE" "$directory/counts"
}

compiler() {
    rustc --version --verbose | sed -n 's/^rustc \|^host: //p' | tr '\n' ' ' | sed 's/ $//'
}

usage() {
    echo "usage: scripts/instructions.sh [NAME...] | --bless | --profile NAME" >&2
    exit 2
}

main "$@"
