#!/usr/bin/env bash
# Makes the Debian package: scripts/package.sh
#
# Leaves target/debian/ringback_*.deb with both programs, the units, the configuration, man pages,
# completions, the seccomp profile and alerts. Installing it opens no port.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Made from the programs, and named in Cargo.toml as assets.
readonly MADE=target/package

main() {
    command -v cargo-deb >/dev/null || {
        echo "installing cargo-deb"
        cargo install cargo-deb --locked
    }
    # What --version -v says beside what it can see itself.
    BUILD_REVISION=$(git rev-parse HEAD) && export BUILD_REVISION
    BUILD_COMPILER=$(rustc --version) && export BUILD_COMPILER
    cargo build --release --locked --bins
    make_pages
    make_completions
    make_changelog
    make_copyright
    cargo deb --no-build --locked --strip
    ls target/debian/ringback_*.deb
}

make_pages() {
    rm -rf "$MADE"
    mkdir -p "$MADE"
    target/release/ringback man "$MADE/man"
    target/release/ringback-load man "$MADE/man"
    gzip -9n "$MADE"/man/*.1
}

# In Debian's form; the project's own says what changed.
make_changelog() {
    local version maintainer
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
    maintainer=$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)
    cat >"$MADE/changelog" <<LOG
ringback ($version-1) unstable; urgency=medium

  * See CHANGELOG.md of the project.

 -- $maintainer  $(date -R -u -d "@$(git log -1 --format=%ct)")
LOG
}

# In Debian's form (DEP 5).
make_copyright() {
    local holder
    holder=$(sed -n 's/^Copyright (c) //p' LICENSE-MIT)
    cat >"$MADE/copyright" <<COPYRIGHT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ringback

Files: *
Copyright: $holder
License: MIT or Apache-2.0

License: MIT
$(sed -e '1,/^Copyright/d' -e 's/^$/./' -e 's/^/ /' LICENSE-MIT | sed '1d')

License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
COPYRIGHT
}

make_completions() {
    local program
    for program in ringback ringback-load; do
        "target/release/$program" completions bash >"$MADE/$program.bash"
        "target/release/$program" completions zsh >"$MADE/_$program"
        "target/release/$program" completions fish >"$MADE/$program.fish"
    done
}

main
