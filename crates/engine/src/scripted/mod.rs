//! A transport without system calls, and a model of the stream to hold a connection against. For tests alone.

mod model;
mod transport;

pub use model::{receive, send};
pub use transport::{Descriptor, Loan, Script, Unit};
