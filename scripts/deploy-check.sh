#!/usr/bin/env bash
# Holds what is deployed against the programs: scripts/deploy-check.sh [DIRECTORY OF THE PROGRAMS]
#
# Builds scripts/deploy/kubernetes (by kubectl where it is installed, and by a reader of our own),
# validates it for two versions of Kubernetes, compares it with what the program says of itself,
# starts the server as it says, and plays without a cluster: rolling updates, and the commands of
# src/guide/many_hosts.md from the Deployment to the merged report. Builds the programs (dev)
# without a DIRECTORY.
#
#   UPDATES  how many rolling updates, 20 without it, which take half a minute
#   CI       with "true" a tool that is missing fails
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly UPDATES="${UPDATES:-20}"
readonly VERSIONS=(1.30 1.37)
readonly MANIFESTS=scripts/deploy/kubernetes
readonly PARTS=scripts/deploy-check
readonly ALERTS=scripts/deploy/prometheus/alerts.yaml
# Packages of PyPI that it reads with, kept from run to run.
readonly ENVIRONMENT=target/deploy-check

main() {
    local programs=${1:-target/debug}
    [[ -n "${1:-}" ]] || cargo build --locked --bins
    # Inside of the tree, since kustomize takes no absolute path.
    mkdir -p target
    WORK=$(mktemp -d -p target)
    readonly WORK
    trap clean_up EXIT
    make_environment
    build_manifests
    validate
    check_alerts
    within manifests.py "$programs/ringback" "$WORK"
    within rolling_update.py "$programs/ringback" "$WORK" "$UPDATES"
    follow_guide "$programs"
    echo "deploy: ok"
}

make_environment() {
    if "$ENVIRONMENT/bin/kubernetes-validate" --version >/dev/null 2>&1; then return; fi
    rm -rf "$ENVIRONMENT"
    python3 -m venv "$ENVIRONMENT" || fail "Python's venv is missing: apt-get install python3-venv"
    "$ENVIRONMENT/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$PARTS/requirements.txt" ||
        fail "pip reaches neither PyPI nor a mirror (PIP_INDEX_URL)"
}

# The server, the server with io_uring, and the generator.
build_manifests() {
    mkdir "$WORK/io-uring"
    cat >"$WORK/io-uring/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../../$MANIFESTS
components:
  - ../../../$MANIFESTS/io-uring
images:
  - name: ringback
    newName: registry.example/ringback
    newTag: "1"
YAML
    build_one "$MANIFESTS" server
    build_one "$WORK/io-uring" server-uring
    build_one "$MANIFESTS/generator" generator
    grep -q 'localhostProfile: ringback/seccomp.json' "$WORK/server-uring.yaml" ||
        fail "the component io-uring sets no profile"
}

# Where both can build it they must agree, up to the order of what is written.
build_one() {
    local directory=$1 name=$2
    "$ENVIRONMENT/bin/python3" "$PARTS/build.py" "$directory" >"$WORK/$name.yaml"
    command -v kubectl >/dev/null || return 0
    kubectl kustomize "$directory" >"$WORK/$name.kubectl.yaml"
    "$ENVIRONMENT/bin/python3" - "$WORK/$name.yaml" "$WORK/$name.kubectl.yaml" <<'PYTHON' ||
import sys, yaml
def read(path):
    with open(path, encoding="utf-8") as file:
        return sorted(yaml.safe_load_all(file), key=lambda resource: resource["kind"])
ours, theirs = map(read, sys.argv[1:])
sys.exit(ours != theirs and f"build.py: {ours}\nkubectl: {theirs}")
PYTHON
        fail "$PARTS/build.py and kubectl kustomize differ over $directory"
    mv "$WORK/$name.kubectl.yaml" "$WORK/$name.yaml"
}

validate() {
    local version resources
    resources=$(cat "$WORK"/*.yaml | grep -c '^kind: ')
    for version in "${VERSIONS[@]}"; do
        "$ENVIRONMENT/bin/kubernetes-validate" --strict -k "$version" "$WORK"/*.yaml \
            >"$WORK/validated" || fail "$(grep -v ' passed ' "$WORK/validated")"
        # A kind or a version that it does not know is no error to it.
        (($(grep -c " passed .* against version $version$" "$WORK/validated") == resources)) ||
            fail "not validated for Kubernetes $version: $(<"$WORK/validated")"
        echo "valid for Kubernetes $version: $resources resources"
    done
}

check_alerts() {
    command -v promtool >/dev/null || {
        lacks "promtool is not installed: apt-get install prometheus"
        return 0
    }
    promtool check rules "$ALERTS"
    cp "$ALERTS" "$PARTS/alerts.test.yaml" "$WORK"
    promtool test rules "$WORK/alerts.test.yaml"
}

# Runs a part in a network of its own: the ports of the manifests are free there.
within() {
    # shellcheck disable=SC2016 # the inner shell expands it
    isolated --net -- bash -c 'ip link set lo up && exec "$@"' - \
        "$ENVIRONMENT/bin/python3" -B "$PARTS/$1" "${@:2}"
}

# Processes for pods, all of which end with it, and names of Services in a file of hosts.
follow_guide() {
    isolated --net --mount --propagation private --pid --fork --kill-child --mount-proc -- \
        "$PARTS/guide.sh" "$1" "$ENVIRONMENT/bin/python3" "$WORK"
}

# Runs a command in namespaces of its own: isolated OPTIONS OF unshare... -- COMMAND...
isolated() {
    local -a namespaces=()
    ((EUID == 0)) || namespaces+=(--map-root-user)
    while [[ "$1" != -- ]]; do
        namespaces+=("$1")
        shift
    done
    shift
    if unshare "${namespaces[@]}" true 2>/dev/null; then
        unshare "${namespaces[@]}" "$@"
    elif ((EUID == 0)); then
        lacks "namespaces cannot be had here: unshare ${namespaces[*]}"
    else
        echo "skipped: only root can have namespaces here: unshare ${namespaces[*]}"
    fi
}

lacks() {
    [[ "${CI:-}" != true ]] || fail "$1"
    echo "skipped: $1"
}

fail() {
    echo "scripts/deploy-check.sh: $1" >&2
    exit 1
}

clean_up() {
    rm -rf "$WORK"
}

main "$@"
