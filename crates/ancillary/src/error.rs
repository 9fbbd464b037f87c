use std::io;

use nix::errno::{Errno, ErrnoSentinel};

/// What can go wrong in this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused.
    #[error("{syscall}: {errno}")]
    System {
        /// The call that failed.
        syscall: &'static str,
        /// Why.
        errno: Errno,
    },
    /// This system has no such thing.
    #[error("{0} is not supported on this system")]
    Unsupported(&'static str),
    /// The descriptor is not of memory that can be shared.
    #[error("not shared memory")]
    NotMemory,
    /// The memory could shrink while it is mapped.
    #[error("the memory is not sealed against shrinking")]
    Shrinkable,
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn system(syscall: &'static str, errno: Errno) -> Self {
        Error::System { syscall, errno }
    }

    pub(crate) fn io(syscall: &'static str, error: &io::Error) -> Self {
        // An error that std made up itself has no number; the only one met here is a path with a NUL in it.
        let errno = error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw);
        Error::System { syscall, errno }
    }

    /// The error number; `ENOTSUP` for what this system lacks, what `mmap` would say to memory that is not mapped.
    pub fn errno(&self) -> Errno {
        match self {
            Error::System { errno, .. } => *errno,
            Error::Unsupported(_) => Errno::ENOTSUP,
            Error::NotMemory => Errno::ENODEV,
            Error::Shrinkable => Errno::EPERM,
        }
    }

    /// The call that failed; empty for what this system lacks.
    pub fn syscall(&self) -> &'static str {
        match self {
            Error::System { syscall, .. } => syscall,
            Error::Unsupported(_) => "",
            Error::NotMemory | Error::Shrinkable => "mmap",
        }
    }

    /// `EAGAIN`: nothing was done, and waiting helps.
    pub fn would_block(&self) -> bool {
        self.errno() == Errno::EAGAIN
    }
}

/// The answer of a call that signals do not interrupt.
pub(crate) fn check<T: ErrnoSentinel + PartialEq>(syscall: &'static str, answer: T) -> Result<T> {
    Errno::result(answer).map_err(|errno| Error::system(syscall, errno))
}

/// Repeats `call` while signals interrupt it.
pub(crate) fn retry<T>(syscall: &'static str, mut call: impl FnMut() -> nix::Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result.map_err(|errno| Error::system(syscall, errno)),
        }
    }
}
