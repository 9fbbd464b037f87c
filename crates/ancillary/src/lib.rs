//! `sendmsg` and `recvmsg` with owned descriptors, and what goes with them: addresses, sockets, pipes, credentials.
//!
//! # Policy
//!
//! - **Ownership.** [`BorrowedFd`](std::os::fd::BorrowedFd) in, [`OwnedFd`](std::os::fd::OwnedFd) out. A descriptor that
//!   came with a message is owned before anything can fail, so every way out of a receive closes it.
//! - **Close-on-exec, always**, and in the call that makes the descriptor. Where the system has no flag for that (macOS) it
//!   is set right after: a `fork` + `exec` between the two, on another thread, inherits the descriptor.
//! - **Truncation.** `MSG_CTRUNC` (control buffer too small, or no free descriptor: `EMFILE`) means that some descriptors of
//!   the message are lost. [`receive`] then closes the rest and says so; the bytes are delivered and the stream stays
//!   usable. [`receive_message`] hands out what came, beside the flag. A partial set never passes for a whole one.
//! - **Send-once.** Descriptors travel with the first byte of one `sendmsg`. When that takes only a part of the bytes they
//!   are gone already: continue without them, or the peer gets them twice.
//! - **Nothing is left in the way of others.** "Do not block" is said per call (`MSG_DONTWAIT`, `RWF_NOWAIT`): `O_NONBLOCK`
//!   belongs to everybody who shares the open file. `SIGPIPE` is not raised on sockets; the host must ignore it for pipes.
//! - **Memory of others.** Buffers are [`Source`]s and [`Target`]s, addresses for the kernel: JavaScript's memory may be
//!   written by other threads and processes meanwhile, so it is never a Rust slice, and never looked at here.
//! - **Names are exact.** A socket path may be any bytes but NUL, an abstract name any bytes at all, and its length counts.
//!
//! What differs between systems is in `platform`; its fallbacks are compiled and tested on Linux too.
//!
//! The modules, each using those before it only: `region`, `control`, `rights`, `credentials`, `kind`, `raw_address`, `option`,
//! `platform`, `address`, `message`, `descriptor`, `socket`, `stream`, `socket_file`.

mod address;
mod control;
mod credentials;
mod descriptor;
#[cfg(test)]
mod fallback_tests;
#[cfg(fuzzing)]
pub mod fuzzing;
mod kind;
mod message;
mod option;
mod platform;
mod raw_address;
mod region;
mod rights;
mod socket;
mod socket_file;
mod stream;

pub use address::Address;
pub use control::ControlMessage;
pub use credentials::Credentials;
pub use descriptor::kind;
pub use fdwire_system::{
    Errno, Error, Readiness, Result, access_mode, duplicate, inheritable, is_open, poll, set_inheritable,
    set_nonblocking,
};
pub use kind::Kind;
pub use message::{
    ARRIVAL, ControlBuffer, Outgoing, Received, ReceivedMessage, receive, receive_message, send, send_message,
};
pub use option::{
    SocketType, is_listening, no_delay, option, set_no_delay, set_option, set_reuse_address, socket_type, take_error,
};
pub use region::{Source, Target};
pub use rights::{Arrival, MAX_FDS};
pub use socket::{
    Shutdown, accept, bind, connect, listen, local_address, pair, pair_of, peer_address, peer_credentials, shutdown,
    socket, socket_family, stream_socket,
};
pub use socket_file::{SocketFile, bind_file, file_of, is_stale, remove_stale};
pub use stream::{pipe, read, write};
