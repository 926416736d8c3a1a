#!/usr/bin/env bash
# Builds the fuzz targets for ClusterFuzzLite, which runs it in its own image: programs, and beside
# each its corpus and its dictionary, go to $OUT.
set -euo pipefail
cd "$SRC/ringback"

cargo fuzz build
# deep_session is for nights.
for target in $(cargo fuzz list | grep -vx deep_session); do
    cp "fuzz/target/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    zip -q -j "$OUT/${target}_seed_corpus.zip" "tests/fuzz_corpus/$target"/*
    case "$target" in
        framed | client | differential) cp fuzz/frames.dict "$OUT/$target.dict" ;;
    esac
done
