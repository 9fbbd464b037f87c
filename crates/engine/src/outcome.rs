//! Results as values.

use fdwire_ancillary::Errno;

/// Why an operation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing yet; the source is armed and will be reported.
    #[error("nothing yet")]
    WouldBlock,
    /// The peer closed between messages.
    #[error("the peer closed")]
    EndOfStream,
    /// The peer closed inside a message.
    #[error("the peer closed inside a message")]
    MessageTruncated,
    /// The header announces more than the limit.
    #[error("a message of {length} bytes is over the limit")]
    MessageTooLarge {
        /// What it announces.
        length: u64,
    },
    /// The message goes on in memory of exactly this length, which is to be given with the next call.
    #[error("memory of {length} bytes is needed")]
    NeedMemory {
        /// How many bytes.
        length: u64,
    },
    /// What the peer sent is not of this protocol. Nothing can follow.
    #[error("not a message")]
    ProtocolError,
    /// A handle record with the wrong number of descriptors, which are closed.
    #[error("a handle record came with {received} descriptors")]
    DescriptorCount {
        /// How many came.
        received: usize,
    },
    /// Descriptors were lost on the way in; those that came are closed.
    #[error("descriptors were lost on the way in")]
    DescriptorsTruncated,
    /// The time to wait is over.
    #[error("timed out")]
    TimedOut,
    /// The memory that a message was being written into was taken away; the message is lost.
    #[error("the memory of the message is gone")]
    MemoryGone,
    /// A message is under way, or something is queued.
    #[error("busy")]
    Busy,
    /// There is no such source, or it is of another kind.
    #[error("no such source")]
    NoSource,
    /// A system call failed.
    #[error("{syscall}: {errno}")]
    System {
        /// The call.
        syscall: &'static str,
        /// Why.
        errno: Errno,
    },
    /// The operating system has no such thing.
    #[error("{0} is not available on this operating system")]
    Unsupported(&'static str),
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) const fn system(syscall: &'static str, errno: Errno) -> Error {
        Error::System { syscall, errno }
    }

    /// `EAGAIN`: nothing was done, and waiting helps.
    pub(crate) fn would_block(self) -> bool {
        self.is(Errno::EAGAIN)
    }

    pub(crate) fn is(self, expected: Errno) -> bool {
        matches!(self, Error::System { errno, .. } if errno == expected)
    }

    /// The length or number that the error is about.
    pub fn length(self) -> u64 {
        match self {
            Error::MessageTooLarge { length } | Error::NeedMemory { length } => length,
            Error::DescriptorCount { received } => received as u64,
            _ => 0,
        }
    }
}

impl From<fdwire_ancillary::Error> for Error {
    fn from(error: fdwire_ancillary::Error) -> Error {
        match error {
            fdwire_ancillary::Error::Unsupported(feature) => Error::Unsupported(feature),
            error => Error::system(error.syscall(), error.errno()),
        }
    }
}

/// Where a message that was received is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<M> {
    /// None was: what was asked for is something else.
    Nowhere,
    /// So many messages are in the slots, the first one's descriptors with the outcome.
    Slots(usize),
    /// In the memory that the caller wanted it in.
    Target,
    /// In the memory offered with this call, all of it.
    Offered,
    /// In this memory, all of it.
    Kept(M),
}

/// What an operation came to, all of it: nothing is kept from an earlier one.
#[derive(Debug)]
pub struct Outcome<M, F> {
    /// A count or a status, or why there is none.
    pub result: Result<i32>,
    /// Where the message is.
    pub place: Place<M>,
    /// The length of a message, of the memory that is needed, or what the error is about.
    pub length: u64,
    /// The descriptors that came.
    pub descriptors: Vec<F>,
    /// The stream position up to which the kernel has the bytes.
    pub written: u64,
    /// The stream position at the end of what was queued.
    pub queued: u64,
}
