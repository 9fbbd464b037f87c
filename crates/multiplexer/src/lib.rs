//! Waiting for descriptors: the [`Reactor`] that drives the package's own sources, and the mechanisms of Python's
//! `select` and `selectors` modules for users.
//!
//! # Two engines
//! The reactor is mio: edge-triggered, never blocking, watched from outside through its own descriptor. mio cannot be
//! level-triggered and hides the event mask, so [`Epoll`], [`Kqueue`], [`Poll`] and [`Selector`] stand on the system
//! calls. A Selector is awaited by nesting its descriptor in the reactor: [`Reactor::arm`]. `poll(2)` and `select()`
//! have none; a [`Notifier`] stands in.
//!
//! # Descriptors
//! The reactor borrows: its sources are ours and are deregistered before they are closed. The others take numbers, as
//! their originals do: users close descriptors that are registered, and what then happens (`EBADF`, `POLLNVAL`, an
//! unregister that works) is part of what these promise. Nothing here closes a descriptor it did not make or was given
//! as `OwnedFd`; what it makes is close-on-exec.
//!
//! # Times
//! `None` waits for ever. Nothing returns early: fractions of a millisecond are rounded up, and a wait that a signal
//! interrupts goes on until its original deadline.
//!
//! # Systems
//! epoll on Linux, kqueue on Apple's systems and the BSDs. A missing mechanism fails when constructed, with
//! [`Error::Unsupported`]. `platform` chooses, once, and all that stand on either dispatch by that.
//!
//! The modules, each using those before it only: `platform::kq` (numbers), `kevent`, `platform`, `budget`, `hand_over`,
//! `poll`, `select`, `epoll`, `kqueue`, `notifier`, `reactor`, `selector` (of `options`, `registration`, `epoll` and `kqueue`,
//! `backend`).

mod budget;
mod epoll;
mod hand_over;
mod kevent;
mod kqueue;
mod notifier;
mod platform;
mod poll;
mod reactor;
mod select;
mod selector;

pub use budget::Budget;
pub use epoll::{EPOLL_CONSTANTS, Epoll};
pub use fdwire_system::Error;
pub use hand_over::HandOver;
pub use kevent::KEvent;
pub use kqueue::{KQUEUE_CONSTANTS, Kqueue};
pub use notifier::Notifier;
pub use poll::{PIPE_BUF, POLL_CONSTANTS, Poll};
pub use reactor::{Event, Interest, REVOCABLE, Reactor, Token};
pub use select::{Selected, select};
pub use selector::{EVENT_PRIORITY, EVENT_RDHUP, EVENT_READ, EVENT_WRITE, Options, RegularFiles, Selector};
