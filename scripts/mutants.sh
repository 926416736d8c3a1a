#!/usr/bin/env bash
# Plants bugs and sees whether the tests notice: scripts/mutants.sh [NAME...], all without any
#
# Applies each mutant of scripts/mutants.txt alone, in a copy of the tree in target/mutants, and runs
# the unit tests and the simulation until one fails. Ends with a summary; exits with 1 when a mutant
# survives, does not compile, or when its text is not found exactly once. A mutant that hangs is
# caught.
#
#   scripts/mutants.sh --check   only looks whether the list still fits the source
#   MUTANT_SECONDS               how long the tests of a mutant may run, 300 without it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LIST=scripts/mutants.txt
readonly TREE=target/mutants/tree
readonly LOG=$PWD/target/mutants/log
readonly MUTANT_SECONDS="${MUTANT_SECONDS:-300}"

# Of each mutant, in the order of the list.
names=() files=() originals=() replacements=()
# What became of the last mutant.
verdict=
survivors=()

main() {
    read_list
    local chosen
    mapfile -t chosen < <(seq 0 $((${#names[@]} - 1)))
    check_list
    if [[ "${1:-}" == --check ]]; then
        echo "${#names[@]} mutants fit the source"
        return
    elif (($#)); then
        mapfile -t chosen < <(indices_of "$@")
        ((${#chosen[@]} == $#)) || exit 2
    fi
    copy_tree
    check_unmutated
    local index
    for index in "${chosen[@]}"; do try "$index"; done
    print_summary "${#chosen[@]}"
    ((${#survivors[@]} == 0))
}

read_list() {
    local line last
    while IFS= read -r line; do
        last=$((${#names[@]} - 1))
        case "$line" in
            '' | '#'*) ;;
            '['*'] '*)
                line=${line#[}
                names+=("${line%%]*}")
                files+=("${line#*] }")
                originals+=("") replacements+=("")
                ;;
            -*) originals[last]+=${originals[last]:+$'\n'}${line#-} ;;
            +*) replacements[last]+=${replacements[last]:+$'\n'}${line#+} ;;
            *)
                echo "$LIST: not a line of a mutant: $line" >&2
                exit 1
                ;;
        esac
    done <"$LIST"
}

# So that the list cannot rot: a text that is gone, or no longer alone, has to be looked at.
check_list() {
    local index text after status=0
    for index in "${!names[@]}"; do
        text=$(<"${files[index]}")
        after=${text#*"${originals[index]}"}
        if [[ -z "${originals[index]}" || "$after" == "$text" ]]; then
            echo "${names[index]}: its text is not in ${files[index]}: mend $LIST" >&2
            status=1
        elif [[ "$after" == *"${originals[index]}"* ]]; then
            echo "${names[index]}: its text is in ${files[index]} more than once: mend $LIST" >&2
            status=1
        fi
    done
    return "$status"
}

indices_of() {
    local name index found
    for name in "$@"; do
        found=
        for index in "${!names[@]}"; do
            [[ "${names[index]}" != "$name" ]] || found=$index
        done
        if [[ -n "$found" ]]; then
            echo "$found"
        else
            echo "no mutant is called $name; $LIST has them all" >&2
        fi
    done
}

# What is tracked or could be, as it is now. Every file is new to cargo: a run that was interrupted
# may have left a mutant that is younger than the source.
copy_tree() {
    rm -rf "$TREE"
    mkdir -p "$TREE"
    git ls-files -z --cached --others --exclude-standard --deduplicate |
        tar --create --null --files-from=- --ignore-failed-read | tar --extract --touch -C "$TREE"
    export CARGO_TARGET_DIR=$PWD/target/mutants/target
}

# Tests that fail anyway would catch everything.
check_unmutated() {
    echo "the tests without a mutant"
    judge
    [[ "$verdict" == survived ]] || {
        echo "without a mutant: $verdict; see $LOG" >&2
        exit 1
    }
}

try() {
    local index=$1 started=$SECONDS file text
    file=$TREE/${files[index]}
    text=$(<"$file")
    printf '%s\n' "${text%%"${originals[index]}"*}${replacements[index]}${text#*"${originals[index]}"}" \
        >"$file"
    judge
    printf '%s\n' "$text" >"$file"
    [[ "$verdict" == caught* ]] || survivors+=("${names[index]}: $verdict")
    printf '%-50s %4d s  %s\n' "${names[index]}" $((SECONDS - started)) "$verdict"
}

# Leaves in $verdict what the tests make of the tree.
judge() {
    local tests
    for tests in --lib --test=simulation; do
        if ! (cd "$TREE" && cargo test --quiet --no-run "$tests") >"$LOG" 2>&1; then
            verdict="does not compile"
            return
        fi
        run_until_failure "$tests"
        [[ "$verdict" == survived ]] || return 0
    done
}

run_until_failure() {
    local line tests
    exec {output}< <(cd "$TREE" && exec timeout "$MUTANT_SECONDS" cargo test "$1" 2>&1)
    tests=$!
    : >"$LOG"
    verdict=
    while IFS= read -r line <&"$output"; do
        printf '%s\n' "$line" >>"$LOG"
        [[ "$line" =~ ^test\ (.*)\ \.\.\.\ FAILED$ ]] || continue
        verdict="caught by ${BASH_REMATCH[1]}"
        kill "$tests" 2>/dev/null || true
        break
    done
    exec {output}<&-
    local code=0
    wait "$tests" || code=$?
    [[ -z "$verdict" ]] || return 0
    case "$code" in
        0) verdict=survived ;;
        124) verdict="caught: hangs" ;;
        *) verdict="caught: the tests end with $code" ;;
    esac
}

print_summary() {
    printf '\n=== mutants\n'
    ((${#survivors[@]} == 0)) || printf '%s\n' "${survivors[@]}"
    echo "$1 mutants, $(($1 - ${#survivors[@]})) caught, ${#survivors[@]} not"
}

main "$@"
