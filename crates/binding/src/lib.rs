//! The Node-API binding of fdwire: glue only.
//!
//! One [`environment::Environment`] per JavaScript environment (main thread or worker) owns the reactor, every
//! connection and watched descriptor, and the descriptors handed to JavaScript. JavaScript refers to them by number.
//! Calls return numbers: a result, or a negative code ([`codes`], or `-errno`); promises, waiting and errors are
//! TypeScript's. What a call reports besides its result it leaves in memory shared with JavaScript
//! ([`crate::napi::realm::Realm`]).

// What #[napi] exports must be `pub`, though no Rust uses it.
#![allow(unreachable_pub)]
// And it exports nothing in a test build, which `--all-targets` lints too.
#![cfg_attr(test, allow(dead_code, unfulfilled_lint_expectations))]

mod body;
mod codes;
mod connection;
mod descriptors;
mod driver;
mod environment;
mod epoll;
mod hot;
mod kqueue;
mod listener;
mod napi;
mod poll;
mod pool;
mod receive;
mod selector;
mod send;
mod shared_memory;
mod socket;
mod watch;
