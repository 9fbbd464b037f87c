//! What wakes the reactor on the JavaScript thread: libuv on Node, a thread elsewhere.

mod thread;
mod uv;

use std::os::fd::RawFd;

use napi::{Env, Result};

pub(crate) use fdwire_multiplexer::Driver;

/// Starts the named driver (`uv` or `thread`) on the reactor's descriptor. It stops by itself when the JavaScript
/// environment goes away, and shuts the thread's [`crate::environment::Environment`] down first.
pub(crate) fn start(env: &Env, name: &str, fd: RawFd) -> Result<Box<dyn Driver>> {
    match name {
        "uv" => uv::start(env, fd),
        _ => thread::start(env, fd),
    }
}
