#!/usr/bin/env bash
# Runs the units under systemd itself: scripts/systemd-test.sh [DIRECTORY OF THE PROGRAM]
#
# systemd is PID 1 of namespaces of their own, over a copy-on-write view of a root: nothing outside
# is changed. Needs root and systemd (252 or newer); builds the program (dev) without a DIRECTORY.
#
#   ROOT      another root than this one, which has program and units installed
#   RESTARTS  how often the service is restarted under load, 20 without it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export ROOT=${ROOT:-/} RESTARTS=${RESTARTS:-20}
readonly LIMIT_S=$((160 + RESTARTS))

main() {
    ((EUID == 0)) || fail "namespaces need root"
    [[ -x "$ROOT/lib/systemd/systemd" ]] || fail "systemd is not installed: apt-get install systemd"
    local programs=${1:-target/debug}
    [[ -n "${1:-}" || "$ROOT" != / ]] || cargo build --locked --bin ringback
    WORK=$(mktemp -d)
    readonly WORK
    trap clean_up EXIT
    mount -t tmpfs tmpfs "$WORK"
    mkdir "$WORK/changes" "$WORK/work" "$WORK/root"
    [[ "$ROOT" != / ]] || install_units "$programs"
    install_test
    run_systemd
    cat "$WORK/changes/result" 2>/dev/null || fail "nothing ran: $(tail -n 20 "$WORK/console")"
    grep -q '^systemd: ok$' "$WORK/changes/result"
}

# As src/guide/operating.md says, into the view that systemd will have.
install_units() {
    local root=$WORK/changes
    install -D -m 755 "$1/ringback" "$root/usr/bin/ringback"
    install -D -m 644 -t "$root/etc/systemd/system" scripts/deploy/systemd/ringback.*
    install -D -m 644 scripts/deploy/ringback.toml "$root/etc/ringback/ringback.toml"
}

# As the one service that systemd starts, which ends it.
install_test() {
    local root=$WORK/changes
    install -m 755 scripts/systemd-inner.sh "$root/inner.sh"
    mkdir -p "$root/etc/systemd/system"
    cat >"$root/etc/systemd/system/inner.service" <<UNIT
[Service]
Type=oneshot
Environment=RESTARTS=$RESTARTS
ExecStart=/inner.sh
StandardOutput=file:/result
StandardError=inherit
ExecStopPost=/bin/systemctl --no-block exit
UNIT
    cat >"$root/etc/systemd/system/inner.target" <<UNIT
[Unit]
Requires=basic.target
Wants=inner.service
After=basic.target
UNIT
    # A machine's business, not a service's.
    local unit
    for unit in systemd-udevd.service systemd-udev-trigger.service systemd-modules-load.service \
        systemd-resolved.service systemd-timesyncd.service systemd-networkd.service \
        systemd-remount-fs.service getty.target dev-hugepages.mount sys-kernel-debug.mount; do
        ln -s /dev/null "$root/etc/systemd/system/$unit"
    done
}

run_systemd() {
    export WORK
    # shellcheck disable=SC2016 # the inner shell expands it
    timeout "$LIMIT_S" unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child \
        --propagation private bash -c '
        set -e
        mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$WORK/changes,workdir=$WORK/work" "$WORK/root"
        cd "$WORK/root"
        mount -t proc proc proc
        mount -t sysfs sysfs sys
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        mount -t tmpfs tmpfs run
        mount -t tmpfs tmpfs tmp
        mount --rbind /dev dev
        mkdir -p outside
        pivot_root . outside
        umount -l outside
        exec env -i container=namespaces PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            /lib/systemd/systemd --log-target=console --unit=inner.target
    ' </dev/null >"$WORK/console" 2>&1 || true
}

fail() {
    echo "scripts/systemd-test.sh: $1" >&2
    exit 1
}

clean_up() {
    umount -l "$WORK" 2>/dev/null || true
    rmdir "$WORK" 2>/dev/null || true
}

main "$@"
