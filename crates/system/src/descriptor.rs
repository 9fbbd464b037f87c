//! Descriptors by number, and their flags.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::error::{Error, Result, answer, retry};

/// Whether the number is an open descriptor of this process.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD takes no pointer, and any number may be asked about.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) }).is_ok()
}

/// Lends a number that may be no descriptor to `f`, for a `syscall` that looks it up and says so itself. A negative one is
/// `EBADF`.
///
/// Numbers come from users, who may close them at any time: whoever takes one can do no more than ask the system, which
/// answers `EBADF`. The loan ends with `f`.
pub fn with_borrowed<R, E: From<Error>>(
    syscall: &'static str,
    fd: RawFd,
    f: impl FnOnce(BorrowedFd<'_>) -> std::result::Result<R, E>,
) -> std::result::Result<R, E> {
    if fd < 0 {
        return Err(Error::system(syscall, Errno::EBADF).into());
    }
    // SAFETY: not -1, and no memory depends on what is behind a descriptor. That it stays open is up to whoever named
    // it, as the doc says; its lifetime ends with `f`, so nothing can keep it.
    f(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Lends an open descriptor to `f`. `EBADF`, of `fcntl`, for a number that is none.
pub fn with_open<R, E: From<Error>>(
    fd: RawFd,
    f: impl FnOnce(BorrowedFd<'_>) -> std::result::Result<R, E>,
) -> std::result::Result<R, E> {
    if !is_open(fd) {
        return Err(Error::system("fcntl", Errno::EBADF).into());
    }
    with_borrowed("fcntl", fd, f)
}

/// A close-on-exec copy of `fd`, never 0, 1 or 2.
#[doc(alias = "F_DUPFD_CLOEXEC")]
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fd.try_clone_to_owned().map_err(|error| Error::io("fcntl", &error))
}

/// How `fd` was opened: `O_RDONLY`, `O_WRONLY` or `O_RDWR`.
#[doc(alias = "O_ACCMODE")]
pub fn access_mode(fd: BorrowedFd<'_>) -> Result<i32> {
    let flags = retry("fcntl", || fcntl(fd, FcntlArg::F_GETFL))?;
    Ok(flags & libc::O_ACCMODE)
}

/// Whether `fd` survives `exec`.
pub fn inheritable(fd: BorrowedFd<'_>) -> Result<bool> {
    let flags = retry("fcntl", || fcntl(fd, FcntlArg::F_GETFD))?;
    Ok(!FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC))
}

/// Lets `fd` survive `exec`, or not.
#[doc(alias = "FD_CLOEXEC")]
pub fn set_inheritable(fd: BorrowedFd<'_>, inheritable: bool) -> Result<()> {
    let flags = retry("fcntl", || fcntl(fd, FcntlArg::F_GETFD))?;
    let mut flags = FdFlag::from_bits_retain(flags);
    flags.set(FdFlag::FD_CLOEXEC, !inheritable);
    retry("fcntl", || fcntl(fd, FcntlArg::F_SETFD(flags)))?;
    Ok(())
}

/// Sets `O_NONBLOCK`, for everyone who shares the open file.
#[doc(alias = "O_NONBLOCK")]
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> Result<()> {
    let value = libc::c_int::from(nonblocking);
    // One system call, where fcntl takes two.
    // SAFETY: FIONBIO reads one int.
    answer("ioctl", unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &value) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_negative_number_is_no_descriptor() {
        for fd in [-1, RawFd::MIN] {
            let refused = with_borrowed("fstat", fd, |_| Ok::<_, Error>(()));
            assert_eq!(refused, Err(Error::system("fstat", Errno::EBADF)));
            assert_eq!(
                with_open(fd, |_| Ok::<_, Error>(())),
                Err(Error::system("fcntl", Errno::EBADF))
            );
        }
    }

    #[test]
    fn an_open_one_is_lent() {
        let (reader, _writer) = nix::unistd::pipe().expect("a pipe");
        let number = reader.as_raw_fd();
        assert_eq!(with_open(number, access_mode), Ok(libc::O_RDONLY));
        assert_eq!(
            with_borrowed("fcntl", number, |fd| Ok::<_, Error>(fd.as_raw_fd())),
            Ok(number)
        );
        assert!(is_open(number));
        assert_eq!(set_inheritable(reader.as_fd(), false), Ok(()));
        assert_eq!(inheritable(reader.as_fd()), Ok(false));
    }
}
