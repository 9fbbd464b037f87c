//! The tape says what the peer writes and what befalls the connection: each message is had whole, in order, or told as
//! lost; no descriptor is left open, and nothing is delivered that was not read.
#![no_main]

use fdwire_engine::scripted;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|tape: &[u8]| scripted::receive(tape));
