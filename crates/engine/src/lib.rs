//! Connections, listeners and watches: what they wait for, what they hold, and what their owner is to hear of them.
//!
//! Nothing here knows Node-API. A [`Connection`] is generic over its [`Transport`], which in tests is a script, and over
//! the [`Memory`] that large messages are read into, which may vanish at any time. Results are values: an [`Outcome`]
//! says all that came of a call, and nothing is kept from an earlier one.
//!
//! The modules, each importing only from those before it: [`settings`](Settings), [`outcome`](Outcome),
//! [`memory`](Memory), [`descriptors`](Descriptors), [`shared`](Shared), `interest`, [`transport`](Transport),
//! [`connection`](Connection) (in it `holding`, `state`, `read`, `received`, `body`, `receive`, `record`, `send`),
//! [`listener`](Listener), [`watch`](Watch), [`table`](Table).
//!
//! A large message under way is the connection's alone: it asks for memory ([`Error::NeedMemory`]), reads on by itself,
//! and gives the message when that is whole. Memory that vanishes meanwhile loses the message and nothing else.

mod connection;
mod descriptors;
mod interest;
mod listener;
mod memory;
mod outcome;
#[cfg(any(test, feature = "scripted"))]
pub mod scripted;
mod settings;
mod shared;
mod table;
mod transport;
mod watch;

pub use connection::{Connection, Message, Ready, Slots, Wait};
pub use descriptors::Descriptors;
pub use interest::Watched;
pub use listener::{Accepted, Listener, SocketFileSettings};
pub use memory::{Bytes, Memory, Offer, Region};
pub use outcome::{Error, Outcome, Place, Result};
pub use settings::{MAX_UNCLAIMED, Settings};
pub use shared::Shared;
pub use table::{Notice, Source, Table};
pub use transport::{Arrived, Kind, Transport, Wire, kind};
pub use watch::{Subject, Watch};

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;
