//! What wakes the reactor on the JavaScript thread: libuv on Node, a thread elsewhere.
//!
//! A driver knows nothing of what it drives: it is given a descriptor to watch and two functions to call.

mod hooks;
mod interrupt;
mod thread;
mod uv;

use std::os::fd::RawFd;

use napi::{Env, Result};

pub(crate) use hooks::Hooks;
pub(crate) use interrupt::interrupt;

/// A driver that runs until the JavaScript environment goes away. It is of no use after [`Hooks::close`] returned.
pub(crate) enum Driver {
    Uv(uv::Driver),
    Thread(thread::Driver),
}

impl Driver {
    /// Starts the named driver (`uv`, else a thread) on a descriptor, which stays open until [`Hooks::close`] is called.
    pub(crate) fn start(env: &Env, name: &str, fd: RawFd, hooks: Hooks) -> Result<Driver> {
        match name {
            "uv" => uv::start(env, fd, hooks).map(Driver::Uv),
            _ => thread::start(env, fd, hooks).map(Driver::Thread),
        }
    }

    /// Whether the process must go on for the sake of what the descriptor reports.
    pub(crate) fn keep_alive(&self, alive: bool) {
        match self {
            Driver::Uv(driver) => driver.keep_alive(alive),
            Driver::Thread(driver) => driver.keep_alive(alive),
        }
    }
}
