#!/bin/sh
# Runs under miri what makes no system calls: the wire format, the walk over control messages, and the engine over a
# scripted transport. Needs a nightly toolchain with miri. Tests that do make system calls are in files that are not named
# here; proptest runs few cases, as miri is slow.
set -eu
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri"
export PROPTEST_CASES="${PROPTEST_CASES:-8}"
# proptest looks for the file of earlier failures.
export MIRIFLAGS="${MIRIFLAGS:-} -Zmiri-disable-isolation"
cargo +nightly miri test -p fdwire-framing --lib --tests
cargo +nightly miri test -p fdwire-ancillary --lib control::
cargo +nightly miri test -p fdwire-engine --lib -- tests:: memory::
