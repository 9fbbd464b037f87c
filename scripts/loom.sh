#!/bin/sh
# Runs the thread driver's hand-over in every order of its steps that the memory model allows.
set -eu
cd "$(dirname "$0")/.."
RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom" \
  cargo test --release -p fdwire-multiplexer --test hand_over -- --nocapture
