#!/usr/bin/env bash
# Everything that must hold before a change lands: scripts/check.sh [--install]
#
# Runs every step, whatever became of those before it, and ends with the tests' own results and a
# line `N passed, N failed`. Exits non-zero when any step failed. What is missing on this machine is
# named, and its tests are skipped, unless it is to be installed.
#
#   --install      installs what is missing: components of the toolchain, Debian packages (as root)
#   FUZZ_SECONDS   how long each fuzz target runs, 5 without it
#   CI             with "true" a test whose tool is missing fails
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly FUZZ_SECONDS="${FUZZ_SECONDS:-5}"
readonly TEST_LOG=target/check-tests.log
readonly PACKAGES=(Cargo.toml fuzz/Cargo.toml benches/peers/Cargo.toml)

failed_steps=()

main() {
    case "${1:-}" in
        --install) install_what_is_missing ;;
        "") name_what_is_missing ;;
        *) usage ;;
    esac
    mkdir -p target
    step "cargo test" run_tests
    step "units under systemd" test_units
    step "AddressSanitizer" check_addresses
    step "deployment" scripts/deploy-check.sh target/debug
    step "peers" test_peers
    step "format" for_each_package check_format
    step "format of what a macro includes" check_hidden_format
    step "clippy" for_each_package check_lints
    step "each feature alone" check_features
    step "documentation" check_documentation
    step "unsafe only in src/sys" check_unsafe
    step "scripts" check_scripts
    step "dependencies" check_dependencies
    step "mutants fit the source" scripts/mutants.sh --check
    step "fuzzing, $FUZZ_SECONDS s a target" scripts/fuzz.sh "$FUZZ_SECONDS"
    print_summary
    ((${#failed_steps[@]} == 0))
}

step() {
    local name=$1 started=$SECONDS
    shift
    printf '\n=== %s\n' "$name"
    if "$@"; then
        echo "--- $name: ok, $((SECONDS - started)) s"
    else
        echo "--- $name: FAILED, $((SECONDS - started)) s"
        failed_steps+=("$name")
    fi
}

# The README's command; with --no-fail-fast one broken test binary does not hide the others. Many
# tests wait for a time to pass, while one more can run.
run_tests() {
    RUST_TEST_THREADS=$(($(nproc) + 1)) cargo test --locked --no-fail-fast 2>&1 | tee "$TEST_LOG"
}

# Its results are not those of `cargo test`: they stay out of the sum at the end.
check_addresses() {
    scripts/asan.sh
}

# With the program that the tests have built.
test_units() {
    if ((EUID != 0)) || ! unshare --mount --pid --net --cgroup --fork true 2>/dev/null; then
        echo "skipped: namespaces cannot be had here"
        return 0
    fi
    scripts/systemd-test.sh target/debug
}

# What is measured beside ringback must echo as well; not part of the sum either.
test_peers() {
    cargo test --locked --manifest-path benches/peers/Cargo.toml --target-dir target
}

for_each_package() {
    local manifest status=0
    for manifest in "${PACKAGES[@]}"; do
        "$1" "$manifest" || status=1
    done
    return "$status"
}

check_format() {
    cargo fmt --manifest-path "$1" --check
}

# `cargo fmt` does not find the modules that a macro of this suite includes.
check_hidden_format() {
    rustfmt --edition 2024 --check tests/server/conformance/*.rs
}

# One target directory for all packages, so that what they share is checked once.
check_lints() {
    cargo clippy --locked --manifest-path "$1" --target-dir target --all-targets -- -D warnings
}

# Who embeds the server does not compile the instrument, and the other way round.
check_features() {
    local feature status=0
    for feature in server load; do
        cargo clippy --locked --no-default-features --features "$feature" --lib --bins -- \
            -D warnings || status=1
    done
    return "$status"
}

check_documentation() {
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
}

check_scripts() {
    is_installed shellcheck || return 0
    shellcheck -x scripts/*.sh scripts/bench/*.sh scripts/deploy-check/*.sh .ci/run \
        .clusterfuzzlite/build.sh
}

check_dependencies() {
    is_installed cargo-deny || return 0
    cargo deny --locked check bans licenses sources
}

is_installed() {
    command -v "$1" >/dev/null || { echo "skipped: $1 is not installed"; return 1; }
}

# The word may stand in comments; as code it may stand only in src/sys and in the peer that drives a
# ring by hand.
check_unsafe() {
    local found
    found=$(grep -rnE --include='*.rs' --exclude-dir=target '^[^/]*\bunsafe\b' \
        src tests benches examples fuzz | grep -vE '^(src/sys/|benches/peers/src/bin/ring-echo\.rs)' || true)
    [[ -z "$found" ]] || {
        echo "unsafe outside src/sys and ring-echo:"
        echo "$found"
        return 1
    }
}

install_what_is_missing() {
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    if ! cargo +nightly --version >/dev/null 2>&1 && command -v rustup >/dev/null; then
        rustup toolchain install nightly --profile minimal || true # scripts/fuzz.sh says what is missing
    fi
    install_debian_packages
}

name_what_is_missing() {
    local missing=()
    list_missing_packages
    ((${#missing[@]} == 0)) || echo "missing: ${missing[*]}: scripts/check.sh --install"
}

# Adds to `missing` the packages of peers that end-to-end tests use.
list_missing_packages() {
    command -v nc >/dev/null || missing+=(netcat-openbsd)
    command -v socat >/dev/null || missing+=(socat)
    # With it tests make an environment of their own, for readers of our files from PyPI.
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
    # Writers of logs that ours reads.
    command -v npm >/dev/null || missing+=(nodejs npm)
    command -v javac >/dev/null || missing+=(default-jdk-headless)
    [[ -e /usr/share/java/hdrhistogram.jar ]] || missing+=(libhdrhistogram-java)
    command -v strace >/dev/null || missing+=(strace)
    command -v redis-benchmark >/dev/null || missing+=(redis-tools)
    command -v shellcheck >/dev/null || missing+=(shellcheck)
    command -v systemd-analyze >/dev/null || missing+=(systemd)
    # Its promtool checks and tests the alerts.
    command -v promtool >/dev/null || missing+=(prometheus)
}

install_debian_packages() {
    local missing=()
    list_missing_packages
    ((${#missing[@]})) || return 0
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "missing, and not installed without root and apt-get: ${missing[*]}"
        return 0
    fi
    echo "installing ${missing[*]}"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } ||
        echo "could not install ${missing[*]}"
}

usage() {
    echo "usage: scripts/check.sh [--install]" >&2
    exit 2
}

print_summary() {
    local passed failed name
    passed=$(sum_of passed)
    failed=$(sum_of failed)
    for name in ${failed_steps[@]+"${failed_steps[@]}"}; do
        # A test binary that died or did not compile has no result of its own.
        [[ "$name" != "cargo test" || "$failed" -gt 0 ]] || failed=1
    done
    printf '\n=== results\n'
    ((failed == 0)) || grep -A 4 ' panicked at ' "$TEST_LOG" | cut -c 1-500 | head -n 100 || true
    grep '^test result:' "$TEST_LOG" || echo "no test ran"
    for name in ${failed_steps[@]+"${failed_steps[@]}"}; do
        echo "step failed: $name"
    done
    echo "$passed passed, $failed failed"
}

sum_of() {
    awk -v what="$1" '
        /^test result:/ { for (i = 2; i <= NF; i++) if (index($i, what) == 1) sum += $(i - 1) }
        END { print sum + 0 }' "$TEST_LOG"
}

main "$@"
