//! What every crate that calls the system shares, each thing once: the error, the deadline, the `poll(2)` loop, descriptors
//! given by number, and what ends a thread's blocking waits.
//!
//! - **`EINTR` is nobody's business.** A call that a signal interrupts is repeated, a wait goes on until its original
//!   deadline, and nothing returns early: parts of a millisecond count as a whole one.
//! - **`None` waits for ever**, and so does a timeout that the clock cannot express.
//! - **A blocking wait ends with its thread** where an [`interrupt`] is installed: it fails with `ECANCELED`.
//!
//! The modules, each using those before it only: `error`, `deadline`, `descriptor`, `interrupt`, `poll`, `wait`.

mod deadline;
mod descriptor;
mod error;
pub mod interrupt;
mod poll;
mod wait;

pub use deadline::{Deadline, milliseconds};
pub use descriptor::{
    access_mode, duplicate, inheritable, is_open, set_inheritable, set_nonblocking, with_borrowed, with_open,
};
pub use error::{Error, Result, answer, check, retry};
pub use interrupt::Interrupt;
pub use nix::errno::Errno;
pub use poll::{Readiness, poll, poll_set};
pub use wait::wait_set;
