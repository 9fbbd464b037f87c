//! A connection, in parts: its state, how it reads, what it receives, and how it sends.

mod body;
mod holding;
mod read;
mod receive;
mod received;
mod record;
mod send;
mod state;

pub use read::Wait;
pub use receive::Slots;
pub use send::Message;
pub use state::{Connection, Ready};
