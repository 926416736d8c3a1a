#!/usr/bin/env bash
# Runs the commands of the guide that speak to a cluster, with one that stands in (cluster.py):
# scripts/deploy-check/guide.sh PROGRAMS PYTHON WORK
#
# For scripts/deploy-check.sh, which has namespaces of processes, mounts and the network around it.
set -euo pipefail

PROGRAMS=$(realpath "$1") PYTHON=$(realpath -s "$2") WORK=$(realpath "$3")
readonly GUIDE=src/guide/many_hosts.md
readonly RATE=2000 SECONDS_MEASURED=2
FASTER="--rate=$RATE --duration=${SECONDS_MEASURED}s"
KUBECTL=$(command -v kubectl || true)
CLUSTER=$WORK/cluster-state
export PROGRAMS CLUSTER FASTER KUBECTL

main() {
    mkdir "$CLUSTER" "$WORK/bin" "$WORK/guide"
    printf '127.0.0.1 localhost ringback\n' >"$WORK/hosts"
    mount --bind "$WORK/hosts" /etc/hosts
    ip link set lo up
    write_kubectl
    extract "$GUIDE" >"$WORK/guide.bash"
    cp -r --parents scripts/deploy "$WORK/guide"
    cd "$WORK/guide"
    local code=0
    PATH="$WORK/bin:$PROGRAMS:$PATH" bash -euo pipefail "$WORK/guide.bash" >"$WORK/guide.out" ||
        code=$?
    # Two CPUs may be too few for a server and its generators: then the merge says INVALID.
    ((code == 0 || code == 4)) || fail "exit code $code: $(<"$WORK/guide.out")"
    adds_up
    echo "the guide's commands, from kubectl apply to the merged report: ok"
}

write_kubectl() {
    cat >"$WORK/bin/kubectl" <<KUBECTL
#!/bin/sh
exec "$PYTHON" -B "$PWD/scripts/deploy-check/cluster.py" "\$@"
KUBECTL
    chmod +x "$WORK/bin/kubectl"
}

# The blocks of commands that have kubectl in them. It takes a minute to start pods elsewhere, here
# moments.
extract() {
    awk '/^```/ { if (inside && block ~ /kubectl/) printf "%s", block
            inside = /^```sh/; block = ""; next }
        inside { block = block $0 "\n" }' "$1" >"$WORK/blocks"
    grep -q "'+1 minute'" "$WORK/blocks" || fail "$GUIDE has no common start in a minute"
    sed "s/'+1 minute'/'+4 seconds'/" "$WORK/blocks"
}

# Every message that was due in the window of any part is in the merged log.
adds_up() {
    local expected=$((RATE * SECONDS_MEASURED)) counted
    "$PROGRAMS/ringback-load" merge part-*.hlog --format json -o "$WORK/merged.json" || (($? == 4))
    counted=$("$PYTHON" -c 'import json, sys
print(json.load(sys.stdin)["latency_ns"]["response"]["count"])' <"$WORK/merged.json")
    ((counted == expected)) || fail "$counted messages of $expected are merged"
}

fail() {
    echo "scripts/deploy-check/guide.sh: $1" >&2
    exit 1
}

main
