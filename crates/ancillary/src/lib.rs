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
//! - **Names are exact.** A socket path may be any bytes but NUL, an abstract name any bytes at all, and its length counts.
//! - **Mapped memory cannot vanish.** Memory that a peer could shrink is not mapped: touching it would be a fatal signal.
//!
//! What differs between systems is in `platform`; its fallbacks are compiled and tested on Linux too.

mod address;
mod control;
mod credentials;
mod descriptor;
mod error;
mod fresh_memory;
mod memory;
mod message;
mod option;
mod platform;
mod poll;
mod socket;
mod socket_file;
mod stream;

pub use address::Address;
pub use control::ControlMessage;
pub use credentials::{Credentials, peer_credentials};
pub use descriptor::{Kind, access_mode, duplicate, inheritable, is_open, kind, set_inheritable, set_nonblocking};
pub use error::{Error, Result};
pub use fresh_memory::prepare_memory;
pub use memory::{
    Mapping, SEAL_FUTURE_WRITE, SEAL_GROW, SEAL_SEAL, SEAL_SHRINK, SEAL_WRITE, add_seals, create_memory, seals,
};
pub use message::{
    ARRIVAL, Arrival, ControlBuffer, MAX_FDS, Outgoing, Received, ReceivedMessage, receive, receive_message, send,
    send_message,
};
pub use nix::errno::Errno;
pub use option::{
    SocketType, is_listening, no_delay, option, set_no_delay, set_option, set_reuse_address, socket_family,
    socket_type, take_error,
};
pub use poll::{Readiness, poll};
pub use socket::{
    Shutdown, accept, bind, connect, listen, local_address, pair, pair_of, peer_address, shutdown, socket,
    stream_socket,
};
pub use socket_file::{SocketFile, bind_file, is_stale, remove_stale};
pub use stream::{pipe, read, write};
