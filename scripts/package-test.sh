#!/usr/bin/env bash
# Installs, uses and purges the package in a Debian of its own: scripts/package-test.sh
#
# Needs root, mmdebstrap and a mirror; the package is that of scripts/package.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

WORK=$(mktemp -d)
readonly WORK ROOT=$WORK/root
# The one that serves while it is tried.
server=
trap clean_up EXIT

main() {
    local package
    package=$(find target/debian -name 'ringback_*.deb' 2>/dev/null | sort | tail -n 1)
    [[ -n "$package" ]] || fail "there is no package: scripts/package.sh"
    command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed: apt-get install mmdebstrap"
    ((EUID == 0)) || fail "a root of its own needs root"
    mmdebstrap --quiet --variant=apt bookworm "$ROOT"
    find "$ROOT" -xdev -not -path "$ROOT/var/*" | sort >"$WORK/before"
    cp "$package" "$ROOT/ringback.deb"
    within apt-get install -y -qq ./ringback.deb >"$WORK/apt" 2>&1 || fail "$(cat "$WORK/apt")"
    opens_no_port
    serves
    keeps_an_edited_configuration
    leaves_nothing
    echo "package: ok"
}

within() {
    chroot "$ROOT" /usr/bin/env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

opens_no_port() {
    local unit
    for unit in ringback.service ringback.socket; do
        [[ -e "$ROOT/usr/lib/systemd/system/$unit" || -e "$ROOT/lib/systemd/system/$unit" ]] ||
            fail "$unit is not installed"
        [[ -z "$(find "$ROOT/etc/systemd" -name "$unit")" ]] || fail "$unit is enabled"
    done
}

# With the packaged configuration, as the unit starts it.
serves() {
    within ringback serve --check --config /etc/ringback/ringback.toml >/dev/null
    : >"$WORK/log"
    # Not by a function: its shell would get the signal.
    chroot "$ROOT" /usr/bin/ringback serve --config /etc/ringback/ringback.toml 127.0.0.1:0 \
        --admin 127.0.0.1:0 2>"$WORK/log" &
    server=$!
    local admin
    for _ in {1..100}; do
        if grep -q '^listening on ' "$WORK/log"; then break; fi
        sleep 0.1
    done
    admin=$(sed -n 's#^admin on http://##p' "$WORK/log")
    within ringback health "$admin" || fail "it is not healthy: $(cat "$WORK/log")"
    within ringback-load "$(sed -n 's/^listening on //p' "$WORK/log")" -c 2 -d 200ms --warmup 0s --quiet \
        >/dev/null || (($? == 4)) || fail "it cannot be measured"
    kill -TERM "$server"
    wait "$server" || fail "it ended with $?: $(cat "$WORK/log")"
    server=
}

keeps_an_edited_configuration() {
    echo 'drain-quiet = "2s"' >>"$ROOT/etc/ringback/ringback.toml"
    within apt-get install -y -qq --reinstall ./ringback.deb >/dev/null 2>&1 || fail "it is not reinstalled"
    grep -q '^drain-quiet' "$ROOT/etc/ringback/ringback.toml" || fail "an edited configuration is lost"
}

leaves_nothing() {
    within apt-get purge -y -qq ringback >/dev/null 2>&1 || fail "it cannot be purged"
    rm "$ROOT/ringback.deb"
    find "$ROOT" -xdev -not -path "$ROOT/var/*" | sort >"$WORK/after"
    diff "$WORK/before" "$WORK/after" || fail "it leaves files"
}

clean_up() {
    [[ -z "$server" ]] || kill "$server" 2>/dev/null || true
    rm -rf "$WORK"
}

fail() {
    echo "scripts/package-test.sh: $1" >&2
    exit 1
}

main
