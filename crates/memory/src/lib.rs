//! Memory that messages are read into.
//!
//! Order of the modules: `pool`, and below it `platform`.

mod platform;
mod pool;

pub use pool::{Block, Pool};
