//! Memory: the blocks that large messages are read into, and memory behind a descriptor, which is made, sealed against what
//! its users must not do, and mapped into this process.
//!
//! Mapped memory cannot vanish: touching a mapped page that the file no longer has is `SIGBUS`, which nothing in the process
//! can handle sensibly. So only memory whose size cannot shrink is mapped: sealed where the system has seals, of fixed size
//! where it has not. What is in it may change at any time: nothing here makes a Rust reference to it.
//!
//! The modules, each using those before it only: `error`, `seal`, `platform`, `mapping`, `pool`.

mod error;
mod mapping;
mod platform;
mod pool;
mod seal;

pub use error::{Error, Result};
pub use mapping::{Mapping, add_seals, create_memory, seals};
pub use pool::{Block, Pool};
pub use seal::{SEAL_FUTURE_WRITE, SEAL_GROW, SEAL_SEAL, SEAL_SHRINK, SEAL_WRITE};
