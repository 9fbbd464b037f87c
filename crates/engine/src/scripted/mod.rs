//! A transport without system calls, and a model of the stream to hold a connection against. For tests alone.
//!
//! `tape`, `transport`, and above them `receiving` and `sending`.

mod receiving;
mod sending;
mod tape;
mod transport;

pub use receiving::receive;
pub use sending::send;
pub use transport::{Descriptor, Loan, Script, Unit};
