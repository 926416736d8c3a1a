#!/usr/bin/env bash
# Runs the tests under AddressSanitizer: scripts/asan.sh [TEST...], a quick subset without any.
#
# The kernel's own writes are not instrumented; what our side does with memory is: a buffer used
# after it was freed, a slot read past its end. Not in the subset: the simulation, below which all is
# safe Rust. Builds into target/asan.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly HOST=x86_64-unknown-linux-gnu
# Of the conformance suite what moves bytes through the ring of our own and uses memory most oddly; the
# ring of tokio-uring is not ours to sanitize.
readonly SUBSET=(uring::echo uring::hostile uring::memory --skip tokio_uring)

main() {
    if ! cargo +nightly --version >/dev/null 2>&1; then
        echo "AddressSanitizer needs a nightly compiler: rustup toolchain install nightly" >&2
        exit 1
    fi
    export CARGO_TARGET_DIR=target/asan
    export RUSTFLAGS='-Zsanitizer=address'
    # Freed memory is kept for a while to catch late use: what the server takes grows by that.
    export ASAN_OPTIONS='detect_stack_use_after_return=1:quarantine_size_mb=16'
    # The sanitizer takes memory of its own, beyond what --check prints.
    export RBTEST_MEMORY_UNBOUND=1
    # The sanitizer makes system calls of its own.
    export RINGBACK_SANDBOX=off
    if (($#)); then
        run "${@/#/--test=}"
    else
        run --lib
        run --test=server -- "${SUBSET[@]}"
    fi
}

# An explicit target keeps the sanitizer out of build scripts and procedural macros.
run() {
    cargo +nightly test --target "$HOST" --no-fail-fast "$@"
}

main "$@"
