//! The Node-API binding of fdwire: glue only.
//!
//! One [`environment::Environment`] per JavaScript environment (main thread or worker) owns the engine's table of
//! connections and watches, and the descriptors handed to JavaScript, which refers to them by number. Calls return
//! numbers: a result, or a negative code ([`codes`]); promises, waiting and errors are TypeScript's. What a call reports
//! besides its result is in memory shared with JavaScript, written at once by [`crate::napi::realm::Realm::report`].
//!
//! The modules, each importing only from those before it: `codes`, `napi` and `driver`, `environment`, `export`.

// What #[napi] exports must be `pub`, though no Rust uses it.
#![allow(unreachable_pub)]
// And it exports nothing in a test build, which `--all-targets` lints too.
#![cfg_attr(test, allow(dead_code, unfulfilled_lint_expectations))]

mod codes;
mod driver;
mod environment;
mod export;
mod napi;
