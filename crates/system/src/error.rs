use std::io;

use nix::errno::{Errno, ErrnoSentinel};

/// Why a system call, or what stands on it, failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused.
    #[error("{syscall}: {errno}")]
    System {
        /// The call, as named in its man page.
        syscall: &'static str,
        /// Why.
        errno: Errno,
    },
    /// This system has no such thing.
    #[error("{0} is not supported on this system")]
    Unsupported(&'static str),
}

/// [`std::result::Result`] with this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `syscall` failed with `errno`.
    pub const fn system(syscall: &'static str, errno: Errno) -> Self {
        Error::System { syscall, errno }
    }

    /// `syscall` failed by way of std. What std made up itself has no number: `EINVAL` for an argument such as a path with
    /// a NUL in it, else `EIO`.
    pub fn io(syscall: &'static str, error: &io::Error) -> Self {
        let made_up = if error.kind() == io::ErrorKind::InvalidInput {
            Errno::EINVAL
        } else {
            Errno::EIO
        };
        Error::system(syscall, error.raw_os_error().map_or(made_up, Errno::from_raw))
    }

    /// The error number; `ENOTSUP` for what this system lacks.
    pub fn errno(&self) -> Errno {
        match self {
            Error::System { errno, .. } => *errno,
            Error::Unsupported(_) => Errno::ENOTSUP,
        }
    }

    /// The call that failed; empty for what this system lacks.
    pub fn syscall(&self) -> &'static str {
        match self {
            Error::System { syscall, .. } => syscall,
            Error::Unsupported(_) => "",
        }
    }

    /// `EAGAIN`: nothing was done, and waiting helps.
    pub fn would_block(&self) -> bool {
        self.errno() == Errno::EAGAIN
    }
}

/// Names the call that `result` is of.
pub fn check<T>(syscall: &'static str, result: nix::Result<T>) -> Result<T> {
    result.map_err(|errno| Error::system(syscall, errno))
}

/// The answer of a `syscall` of the C library, which is -1 where it failed.
pub fn answer<T: ErrnoSentinel + PartialEq>(syscall: &'static str, answer: T) -> Result<T> {
    check(syscall, Errno::result(answer))
}

/// Repeats `call` while signals interrupt it.
pub fn retry<T>(syscall: &'static str, mut call: impl FnMut() -> nix::Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return check(syscall, result),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_repeated_while_it_is_interrupted() {
        let mut results = [Err(Errno::EINTR), Err(Errno::EINTR), Ok(7)].into_iter();
        assert_eq!(retry("read", || results.next().expect("no more calls")), Ok(7));
        let error = retry("read", || nix::Result::<()>::Err(Errno::EIO)).expect_err("it fails");
        assert_eq!((error.syscall(), error.errno()), ("read", Errno::EIO));
    }

    #[test]
    fn an_error_says_what_failed_and_why() {
        let error = Error::system("accept", Errno::EAGAIN);
        assert!(error.would_block());
        assert_eq!(error.to_string(), "accept: EAGAIN: Try again");
        let error = Error::Unsupported("epoll");
        assert_eq!((error.errno(), error.syscall()), (Errno::ENOTSUP, ""));
    }

    #[test]
    fn an_error_of_std_without_a_number_gets_one() {
        let nul = std::fs::File::open("a\0b").expect_err("no such name");
        assert_eq!(Error::io("open", &nul), Error::system("open", Errno::EINVAL));
        assert_eq!(Error::io("read", &io::Error::other("x")).errno(), Errno::EIO);
        assert_eq!(
            Error::io("read", &io::Error::from_raw_os_error(libc::EPIPE)).errno(),
            Errno::EPIPE
        );
    }
}
