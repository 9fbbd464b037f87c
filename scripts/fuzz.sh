#!/bin/sh
# Runs every fuzz target for so many seconds (60), from its corpus: scripts/fuzz.sh [seconds]
# Needs a nightly toolchain and cargo-fuzz. What is found is in the crate's fuzz/artifacts; a corpus that grew is to be
# made small again (cargo fuzz cmin) before it is committed.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
for crate in crates/*/fuzz; do
  for target in "$crate"/fuzz_targets/*.rs; do
    name=$(basename "$target" .rs)
    echo "== $crate $name"
    (cd "$crate" && cargo +nightly fuzz run "$name" -- -max_total_time="$seconds" -max_len=2048 -print_final_stats=1)
  done
done
