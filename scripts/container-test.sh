#!/usr/bin/env bash
# Runs the programs as a container engine does: scripts/container-test.sh [PROFILE]
#
# Builds both static (PROFILE release, or dev), and starts the server with crun on a root that is read
# only, as another user, without capabilities: under scripts/deploy/seccomp.json the native driver
# serves, without its io_uring calls epoll does and says why. Needs root and crun (Debian: crun).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# In a mount namespace of its own, for what it mounts.
if [[ -z "${IN_NAMESPACE:-}" && $EUID -eq 0 ]]; then
    IN_NAMESPACE=1 exec unshare --mount --propagation private scripts/container-test.sh "$@"
fi

readonly PROFILE="${1:-release}"
readonly TARGET=x86_64-unknown-linux-gnu
WORK=$(mktemp -d)
readonly WORK
containers=()
trap clean_up EXIT

main() {
    need_tools
    build
    make_root
    mount_cgroups
    check_native
    check_fallback
    echo "containers: ok"
}

need_tools() {
    command -v crun >/dev/null || fail "crun is not installed: apt-get install crun"
    ((EUID == 0)) || fail "containers need root"
}

# crun takes no hierarchy that is half of the first version.
mount_cgroups() {
    [[ "$(stat -f -c %T /sys/fs/cgroup)" == cgroup2fs ]] || mount -t cgroup2 none /sys/fs/cgroup
}

build() {
    export RUSTFLAGS='-C target-feature=+crt-static'
    cargo build --locked --profile "$PROFILE" --bins --target "$TARGET" --target-dir target/static
}

make_root() {
    local built=target/static/$TARGET/$PROFILE
    [[ "$PROFILE" != dev ]] || built=target/static/$TARGET/debug
    mkdir -p "$WORK/root/proc" "$WORK/root/dev" "$WORK/root/sys"
    cp "$built/ringback" "$built/ringback-load" "$WORK/root/"
    ldd "$WORK/root/ringback" 2>&1 | grep -qE "statically linked|not a dynamic" ||
        fail "the program is not static"
}

# The whole profile.
check_native() {
    start native ""
    expect native 'driver uring'
    expect native 'sandbox: rings restricted, seccomp on '
    check_service native
}

# As container engines' own profiles are: without the three calls.
check_fallback() {
    start fallback 'io_uring_setup io_uring_enter io_uring_register'
    expect fallback 'warning: the epoll driver serves, since io_uring cannot be used'
    expect fallback 'driver epoll'
    check_service fallback
}

# Echoes, is healthy, and drains at SIGTERM.
check_service() {
    local name=$1 address admin echoed code=0
    address=$(sed -n 's/^listening on //p' "$WORK/$name.log")
    admin=$(sed -n 's#^admin on http://##p' "$WORK/$name.log")
    echoed=$(exchange "$address")
    [[ "$echoed" == "Hello, world" ]] || fail "$name echoed \"$echoed\""
    crun --root "$WORK/state" exec --user 65532:65532 "$name" /ringback health "$admin" || fail "$name is not healthy"
    crun --root "$WORK/state" kill "$name" TERM
    wait "${pids[$name]}" || code=$?
    ((code == 0)) || fail "$name ended with $code: $(cat "$WORK/$name.log")"
    expect "$name" 'finished: 1 connection,'
    echo "$name: ok"
}

exchange() {
    python3 - "$1" <<'PYTHON'
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
with socket.create_connection((host, int(port)), 10) as peer:
    peer.sendall(b"Hello, world")
    peer.shutdown(socket.SHUT_WR)
    print(b"".join(iter(lambda: peer.recv(4096), b"")).decode())
PYTHON
}

declare -A pids

# Starts a container under the profile without some calls; returns when it listens.
start() {
    local name=$1 without=$2
    mkdir -p "$WORK/$name"
    write_config "$without" >"$WORK/$name/config.json"
    containers+=("$name")
    : >"$WORK/$name.log"
    crun --root "$WORK/state" --cgroup-manager=disabled run --bundle "$WORK/$name" "$name" \
        2>"$WORK/$name.log" </dev/null &
    pids[$name]=$!
    for _ in {1..100}; do
        if grep -q '^listening on ' "$WORK/$name.log"; then return; fi
        sleep 0.1
    done
    fail "$name did not start: $(cat "$WORK/$name.log")"
}

write_config() {
    python3 - "$1" "$WORK/root" <<'PYTHON'
import json, sys
without, root = sys.argv[1].split(), sys.argv[2]
with open("scripts/deploy/seccomp.json", encoding="utf-8") as profile:
    seccomp = json.load(profile)
for rule in seccomp["syscalls"]:
    rule["names"] = [name for name in rule["names"] if name not in without]
print(json.dumps({
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 65532, "gid": 65532},
        "args": ["/ringback", "serve", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
        "env": [], "cwd": "/", "noNewPrivileges": True, "capabilities": {},
    },
    "root": {"path": root, "readonly": True},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
    # The host's network, so that peers can reach it.
    "linux": {
        "namespaces": [{"type": name} for name in ("pid", "mount", "ipc", "uts")],
        "seccomp": seccomp,
    },
}))
PYTHON
}

expect() {
    grep -q -- "$2" "$WORK/$1.log" || fail "$1 does not say \"$2\": $(cat "$WORK/$1.log")"
}

fail() {
    echo "scripts/container-test.sh: $1" >&2
    exit 1
}

clean_up() {
    local name
    for name in ${containers[@]+"${containers[@]}"}; do
        crun --root "$WORK/state" delete --force "$name" 2>/dev/null || true
    done
    rm -rf "$WORK"
}

main
