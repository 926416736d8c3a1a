#!/usr/bin/env bash
# Prints how much of the source the committed fuzz corpus reaches: scripts/coverage.sh [FILE...]
#
# For each file of src/protocol and src/lifecycle the regions that no input of tests/fuzz_corpus
# executes, and the share of those that one does; of each FILE named, its lines with what was counted.
# Unit tests and what a fuzzer found meanwhile do not count.
#
# Builds the fuzz targets with the compiler's own coverage, and reads it with the LLVM tools of the
# nightly compiler's version: those of its toolchain (rustup component add llvm-tools) or Debian's
# (apt-get install llvm-22).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly OUT=fuzz/target/coverage
readonly BINARIES=$OUT/x86_64-unknown-linux-gnu/debug

main() {
    local version profdata cov target targets measured binaries=()
    version=$(rustc +nightly -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    profdata=$(tool llvm-profdata "$version")
    cov=$(tool llvm-cov "$version")
    RUSTFLAGS=-Cinstrument-coverage cargo +nightly fuzz build --dev --sanitizer none \
        --no-trace-compares --target-dir "$OUT"
    rm -f "$OUT"/*.profraw
    mapfile -t targets < <(cargo +nightly fuzz list | grep -vx deep_session)
    for target in "${targets[@]}"; do
        run_corpus "$target"
        # The first is an argument of its own, the others are options.
        binaries+=(${binaries[@]:+--object} "$BINARIES/$target")
    done
    "$profdata" merge --sparse "$OUT"/*.profraw -o "$OUT/all.profdata"
    mapfile -t measured < <(find src/protocol src/lifecycle -name '*.rs' | sort)
    "$cov" report --instr-profile "$OUT/all.profdata" "${binaries[@]}" "${measured[@]}" | print_table
    (($# == 0)) || "$cov" show --instr-profile "$OUT/all.profdata" --show-regions \
        --show-instantiations=false "${binaries[@]}" "$@"
}

# Where a tool is that reads what this compiler writes: tool NAME VERSION
tool() {
    local found
    for found in "$(rustc +nightly --print sysroot)"/lib/rustlib/*/bin/"$1" "/usr/bin/$1-$2"; do
        if [[ -x "$found" ]]; then
            echo "$found"
            return
        fi
    done
    echo "reading coverage needs $1 of LLVM $2: rustup +nightly component add llvm-tools, or" \
        "apt-get install llvm-$2" >&2
    return 1
}

# Runs each committed input once.
run_corpus() {
    LLVM_PROFILE_FILE="$OUT/$1.profraw" "$BINARIES/$1" -runs=0 "tests/fuzz_corpus/$1" \
        >"$OUT/$1.log" 2>&1 || {
        cat "$OUT/$1.log" >&2
        return 1
    }
}

# File, regions, missed ones and share of what llvm-cov reports.
print_table() {
    awk '
        BEGIN { printf "%-36s %9s %9s %9s\n", "file", "regions", "missed", "covered" }
        $1 ~ /\.rs$/ || $1 == "TOTAL" { printf "%-36s %9s %9s %9s\n", $1, $2, $3, $4 }'
}

main "$@"
