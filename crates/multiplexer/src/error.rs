use nix::errno::Errno;

/// What can go wrong while waiting on descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("{syscall}: {errno}")]
    System {
        /// The call, as named in its man page.
        syscall: &'static str,
        /// Its error.
        errno: Errno,
    },
    /// This operating system does not have it.
    #[error("{0} is not available on this operating system")]
    Unsupported(&'static str),
}

impl Error {
    pub(crate) fn system(syscall: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System { syscall, errno }
    }

    /// The same for std's errors; one without an errno cannot come from a system call and becomes `EIO`.
    pub(crate) fn io(syscall: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::System {
            syscall,
            errno: error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
        }
    }

    /// The system call that failed; empty where there was none.
    pub fn syscall(&self) -> &'static str {
        match self {
            Self::System { syscall, .. } => syscall,
            Self::Unsupported(_) => "",
        }
    }

    /// The system's error number; `ENOTSUP` where the operating system lacks the feature.
    pub fn errno(&self) -> Errno {
        match self {
            Self::System { errno, .. } => *errno,
            Self::Unsupported(_) => Errno::ENOTSUP,
        }
    }
}
