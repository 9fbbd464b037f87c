use fdwire_system::Errno;

/// What can go wrong with memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused, or has no such thing.
    #[error(transparent)]
    System(#[from] fdwire_system::Error),
    /// The descriptor is not of memory that can be shared.
    #[error("not shared memory")]
    NotMemory,
    /// The memory could shrink while it is mapped.
    #[error("the memory is not sealed against shrinking")]
    Shrinkable,
}

impl Error {
    /// The error number; for memory that is not mapped, what `mmap` would say.
    pub fn errno(&self) -> Errno {
        match self {
            Error::System(error) => error.errno(),
            Error::NotMemory => Errno::ENODEV,
            Error::Shrinkable => Errno::EPERM,
        }
    }

    /// The call that failed; empty for what this system lacks.
    pub fn syscall(&self) -> &'static str {
        match self {
            Error::System(error) => error.syscall(),
            Error::NotMemory | Error::Shrinkable => "mmap",
        }
    }
}

/// [`std::result::Result`] with this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;
