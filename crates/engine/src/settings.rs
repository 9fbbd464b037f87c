//! What a connection is made with, and the sizes all of them share.

use fdwire_ancillary::MAX_FDS;

/// How many descriptors one message may bring: what is held unclaimed at the most.
pub const MAX_UNCLAIMED: usize = 4 * MAX_FDS;

/// Bodies above this are read straight into their destination.
pub(crate) const LARGE: u64 = 16 * 1024;
/// A large body gets its whole memory only once this much of it is here, and 16 times what is here at a time.
pub(crate) const UNPROVEN: usize = 1024 * 1024;
/// How much is read for the header that follows a large body.
pub(crate) const HEADER_WINDOW: usize = 1024;
/// The read buffer that all connections share: an idle one holds none.
pub(crate) const SCRATCH: usize = 64 * 1024;
/// What is left of a body up to here is copied into the outbox; more is referenced.
pub(crate) const COPIED: usize = 16 * 1024;
/// About as much of what is queued is handed over at a time where JavaScript carries it.
pub(crate) const OUTPUT: usize = 1024 * 1024;
/// Pieces of one write: small messages stand together in one, and the kernel takes no more of large ones anyway.
pub(crate) const MAX_PIECES: usize = 16;

/// What a connection is made with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes a received message may have at the most.
    pub max_message_size: u64,
    /// Reads may go past a frame.
    pub read_ahead: bool,
    /// Descriptors are acknowledged as on macOS.
    pub acknowledge: bool,
    /// Nagle's algorithm is turned off, where there is one.
    pub no_delay: bool,
}
