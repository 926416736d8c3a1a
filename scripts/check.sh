#!/usr/bin/env bash
# Everything that must hold before a change lands: scripts/check.sh
#
# Runs every step, whatever became of those before it, and ends with the tests' own results and a
# line `N passed, N failed`. Exits non-zero when any step failed. Installs what it needs.
#
#   FUZZ_SECONDS   how long each fuzz target runs, 10 without it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly FUZZ_SECONDS="${FUZZ_SECONDS:-10}"
readonly TEST_LOG=target/check-tests.log
readonly PACKAGES=(Cargo.toml fuzz/Cargo.toml benches/peers/Cargo.toml)

failed_steps=()

main() {
    mkdir -p target
    install_what_is_missing
    step "cargo test" run_tests
    step "AddressSanitizer" check_addresses
    step "peers" test_peers
    step "format" for_each_package check_format
    step "clippy" for_each_package check_lints
    step "documentation" check_documentation
    step "unsafe only in src/sys" check_unsafe
    step "mutants fit the source" scripts/mutants.sh --check
    step "fuzzing, $FUZZ_SECONDS s a target" scripts/fuzz.sh "$FUZZ_SECONDS"
    print_summary
    ((${#failed_steps[@]} == 0))
}

step() {
    local name=$1 begun=$SECONDS
    shift
    printf '\n=== %s\n' "$name"
    if "$@"; then
        echo "--- $name: ok, $((SECONDS - begun)) s"
    else
        echo "--- $name: FAILED, $((SECONDS - begun)) s"
        failed_steps+=("$name")
    fi
}

# The README's command; with --no-fail-fast one broken test binary does not hide the others.
run_tests() {
    cargo test --no-fail-fast 2>&1 | tee "$TEST_LOG"
}

# Its results are not those of `cargo test`: they stay out of the sum at the end.
check_addresses() {
    scripts/asan.sh
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

# One target directory for all packages, so that what they share is checked once.
check_lints() {
    cargo clippy --locked --manifest-path "$1" --target-dir target --all-targets -- -D warnings
}

check_documentation() {
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps
}

# The word may stand in comments; as code it may stand only in src/sys.
check_unsafe() {
    local found
    found=$(grep -rnE --include='*.rs' --exclude-dir=target '^[^/]*\bunsafe\b' \
        src tests benches fuzz | grep -v '^src/sys/' || true)
    [[ -z "$found" ]] || {
        echo "unsafe outside src/sys:"
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

# Peers of the end-to-end tests, which say so themselves where one is missing.
install_debian_packages() {
    local missing=()
    command -v nc >/dev/null || missing+=(netcat-openbsd)
    command -v socat >/dev/null || missing+=(socat)
    # With it tests make an environment of their own, for readers of our files from PyPI.
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
    command -v strace >/dev/null || missing+=(strace)
    command -v redis-benchmark >/dev/null || missing+=(redis-tools)
    ((${#missing[@]})) || return 0
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "missing, and not installed without root and apt-get: ${missing[*]}"
        return 0
    fi
    echo "installing ${missing[*]}"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } ||
        echo "could not install ${missing[*]}"
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

main
