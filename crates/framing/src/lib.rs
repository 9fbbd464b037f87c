//! The wire format of Python's `multiprocessing.connection`, descriptors included. No I/O: bytes and descriptors go in and
//! come out, and the caller does the system calls.
//!
//! # The contract
//!
//! - A **frame** is a header and a body. The header is the body's length as a signed 32-bit big-endian number or, over
//!   `0x7fffffff`, `-1` followed by an unsigned 64-bit one. The long form is accepted for any length; any other negative
//!   number is [`Error::NegativeLength`].
//! - A **handle record** is one byte, the number of descriptors modulo 256, outside any frame and sent by a `sendmsg` of
//!   its own that carries them. A **message** is any number of records and the frame behind them; their descriptors are
//!   the message's. 0 is accepted for any number (Python 2.7 sends it).
//! - An **acknowledgement** is the byte `A`, sent back for a record by those who agreed to. It stands where a header could.
//! - The kernel does not say which byte brought the descriptors of a read: it is its last byte on Linux, its first on macOS
//!   and the BSDs. The caller tags that byte ([`Decoder::attach`]). At a boundary a tag on the next byte is a handle record;
//!   a tag on any other byte belongs to the frame around it.
//! - Nothing is interpreted until it is asked for: the same byte is a header to [`Decoder::peek`] and a record to
//!   [`Decoder::take_record`].
//! - Nothing is allocated because of an announced length, and an idle decoder or outbox holds no buffer.
//!
//! The modules, each using those before it only: `error`, `header`, `buffer`, `tags`, `outbox`, `decoder` (with `records`,
//! `body` and `snapshot`, which add to it).
//!
//! A method used against its stated precondition panics; nothing a peer sends does.

#![forbid(unsafe_code)]

mod buffer;
mod decoder;
mod error;
mod header;
mod outbox;
mod tags;

pub use decoder::snapshot::Snapshot;
pub use decoder::{Decoder, Frame};
pub use error::Error;
pub use header::Header;
pub use outbox::{Outbox, Piece};
