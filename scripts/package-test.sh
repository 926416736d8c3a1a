#!/usr/bin/env bash
# Installs, upgrades, uses and purges the package in a Debian of its own: scripts/package-test.sh
#
# Needs root, mmdebstrap, lintian and a mirror; the package is that of scripts/package.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

WORK=$(mktemp -d)
readonly WORK ROOT=$WORK/root CONFIGURATION=/etc/ringback/ringback.toml
# The one that serves while it is tried.
server=
trap clean_up EXIT

main() {
    local package
    package=$(find target/debian -name 'ringback_*.deb' 2>/dev/null | sort | tail -n 1)
    [[ -n "$package" ]] || fail "there is no package: scripts/package.sh"
    local tool
    for tool in mmdebstrap lintian; do
        command -v "$tool" >/dev/null || fail "$tool is not installed: apt-get install $tool"
    done
    ((EUID == 0)) || fail "a root of its own needs root"
    follows_the_policy "$package"
    mmdebstrap --quiet --variant=apt --include=systemd,python3-minimal bookworm "$ROOT"
    find "$ROOT" -xdev -not -path "$ROOT/var/*" | sort >"$WORK/before"
    cp "$package" "$ROOT/ringback.deb"
    make_older_package
    install_package older.deb
    opens_no_port
    has_its_guide
    upgrades
    serves
    restarts_lose_nobody
    leaves_nothing
    echo "package: ok"
}

within() {
    chroot "$ROOT" /usr/bin/env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# Of the two answers to a changed configuration the one that keeps it.
install_package() {
    within apt-get install -y -qq -o Dpkg::Options::=--force-confold "./$1" >"$WORK/apt" 2>&1 ||
        fail "$(cat "$WORK/apt")"
}

installed_version() {
    # shellcheck disable=SC2016 # dpkg-query expands it
    within dpkg-query --show --showformat '${Version}' ringback
}

follows_the_policy() {
    lintian --allow-root --fail-on error "$1" || fail "lintian finds errors"
    echo "lintian: ok"
}

# A version before this one, whose configuration was another.
make_older_package() {
    dpkg-deb --raw-extract "$ROOT/ringback.deb" "$WORK/older"
    sed -i 's/^Version: .*/Version: 0.0.1-1/' "$WORK/older/DEBIAN/control"
    echo '# of an older version' >>"$WORK/older$CONFIGURATION"
    (cd "$WORK/older" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' |
        xargs -0 md5sum >DEBIAN/md5sums)
    dpkg-deb --build --root-owner-group "$WORK/older" "$ROOT/older.deb" >/dev/null
}

# The pages that the README links to.
has_its_guide() {
    local docs=$ROOT/usr/share/doc/ringback page
    while read -r page; do
        [[ -e "$docs/$page" ]] || fail "the README links to $page, which is not installed"
    done < <(grep -oE '\((src/guide|benches)/[a-z0-9_/-]+\.(md|svg)' "$docs/README.md" | tr -d '(' | sort -u)
    echo "guide: ok"
}

opens_no_port() {
    local unit
    for unit in ringback.service ringback.socket; do
        [[ -e "$ROOT/usr/lib/systemd/system/$unit" || -e "$ROOT/lib/systemd/system/$unit" ]] ||
            fail "$unit is not installed"
        [[ -z "$(find "$ROOT/etc/systemd" -name "$unit")" ]] || fail "$unit is enabled"
    done
}

# From the older version: a configuration that nobody edited is replaced, one that somebody did is
# kept.
upgrades() {
    [[ "$(installed_version)" == 0.0.1-1 ]] || fail "the older version is $(installed_version)"
    install_package ringback.deb
    [[ "$(installed_version)" != 0.0.1-1 ]] || fail "it is not upgraded"
    ! grep -q 'of an older version' "$ROOT$CONFIGURATION" || fail "the configuration is an older one"

    within apt-get purge -y -qq ringback >/dev/null 2>&1 || fail "it cannot be purged"
    install_package older.deb
    echo 'drain-quiet = "2s"' >>"$ROOT$CONFIGURATION"
    install_package ringback.deb
    [[ "$(installed_version)" != 0.0.1-1 ]] || fail "it is not upgraded"
    grep -q '^drain-quiet = "2s"$' "$ROOT$CONFIGURATION" || fail "an edited configuration is lost"
    within ringback serve --check --config "$CONFIGURATION" >/dev/null 2>&1 ||
        fail "its configuration is not valid"
    echo "upgrade to $(installed_version), an edited configuration kept: ok"
}

# With the packaged configuration, as the unit starts it.
serves() {
    : >"$WORK/log"
    # Not by a function: its shell would get the signal.
    chroot "$ROOT" /usr/bin/ringback serve --config "$CONFIGURATION" 127.0.0.1:0 \
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
    echo "start, measurement, drain: ok"
}

# Under systemd, behind the socket of its unit.
restarts_lose_nobody() {
    env ROOT="$ROOT" RESTARTS=100 scripts/systemd-test.sh || fail "under systemd it fails"
}

leaves_nothing() {
    within apt-get purge -y -qq ringback >/dev/null 2>&1 || fail "it cannot be purged"
    rm "$ROOT/ringback.deb" "$ROOT/older.deb"
    find "$ROOT" -xdev -not -path "$ROOT/var/*" | sort >"$WORK/after"
    diff "$WORK/before" "$WORK/after" || fail "it leaves files"
    echo "purge: ok"
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
