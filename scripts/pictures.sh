#!/usr/bin/env bash
# Draws the pictures of benches/pictures anew, one of each kind: scripts/pictures.sh [NAME]...
#
# The server, embedded, runs on CPU 0, the generator on CPU 1. A run that is not valid is no picture:
# it is made again, up to three times in all; then the old picture stays and the script fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

readonly PICTURES=benches/pictures
readonly TRIES=3

main() {
    need_two_cpus
    cargo build --release --locked --quiet
    work=$(mktemp -d)
    trap 'rm -r "$work"' EXIT
    local name names=("$@")
    (($#)) || names=(open sweep find-max both)
    for name in "${names[@]}"; do
        "draw_${name//-/_}"
    done
}

draw_open() {
    valid -r 20k --svg "$work/open.svg"
    mv "$work/open.svg" "$PICTURES/open.svg"
}

draw_sweep() {
    valid sweep --rates 20k..160k:20k -d 2s --svg "$work/sweep.svg"
    mv "$work/sweep.svg" "$PICTURES/sweep.svg"
}

draw_find_max() {
    valid find-max --assert 'p99<5ms' -d 2s --svg "$work/find-max.svg"
    mv "$work/find-max.svg" "$PICTURES/find-max.svg"
}

# Two runs over each other, from their logs.
draw_both() {
    local rate
    for rate in 20k 40k; do
        valid -r "$rate" --hlog "$work/$rate.hlog"
    done
    "$RINGBACK_LOAD" plot "$work/20k.hlog" "$work/40k.hlog" -o "$PICTURES/both.svg"
}

# Measures until the result is VALID: valid WORDS...
valid() {
    local try
    for ((try = 0; try < TRIES; try++)); do
        if "$RINGBACK_LOAD" "$@" --quiet; then
            return
        fi
    done
    echo "not valid $TRIES times: ringback-load $*; reduce other load on this host" >&2
    return 1
}

main "$@"
