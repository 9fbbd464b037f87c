//! Descriptors as JavaScript sees them: numbers, of which some are ours to close.

use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use fdwire_ancillary::{self as ancillary, Errno, Error};
use napi::Result;
use napi_derive::napi;

use crate::environment;

pub(crate) fn bad_descriptor() -> Error {
    Error::System {
        syscall: "fcntl",
        errno: Errno::EBADF,
    }
}

/// Borrows an open descriptor by number, for the length of one call.
pub(crate) fn borrow<'a>(fd: i32) -> std::result::Result<BorrowedFd<'a>, Error> {
    if !ancillary::is_open(fd) {
        return Err(bad_descriptor());
    }
    // SAFETY: it is open (and not -1), and JavaScript, which could close it, runs on this thread only: it stays open for
    // the call that asked.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

fn on<R>(
    fd: i32,
    f: impl FnOnce(BorrowedFd<'_>) -> std::result::Result<R, Error>,
    result: impl FnOnce(R) -> i32,
) -> Result<i32> {
    environment::with(|environment| match borrow(fd).and_then(f) {
        Ok(value) => result(value),
        Err(error) => environment.shared.fail(&error),
    })
}

/// Makes a descriptor ours: close-on-exec from now on. Returns its number or `-errno`.
#[napi]
pub fn descriptor_adopt(fd: i32) -> Result<i32> {
    environment::with(|environment| {
        let shared = &environment.shared;
        match borrow(fd).and_then(|borrowed| ancillary::set_inheritable(borrowed, false)) {
            // SAFETY: it is open, and the caller gives it up.
            Ok(()) => shared.hand_out(unsafe { OwnedFd::from_raw_fd(fd) }),
            Err(error) => shared.fail(&error),
        }
    })
}

/// Gives a descriptor of ours up, without closing it.
#[napi]
pub fn descriptor_release(fd: i32) -> Result<()> {
    environment::with(|environment| {
        if let Some(owned) = environment.shared.take_back(fd) {
            let _ = owned.into_raw_fd();
        }
    })
}

/// Borrows a number that may be no descriptor, for one system call that reports so itself.
pub(crate) fn borrow_unchecked<'a>(fd: i32) -> std::result::Result<BorrowedFd<'a>, Error> {
    if fd < 0 {
        return Err(bad_descriptor());
    }
    // SAFETY: not -1. The caller passes it to one system call and keeps it no longer.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Closes a descriptor of ours.
pub(crate) fn close(fd: i32) -> Result<i32> {
    environment::with(|environment| {
        drop(environment.shared.take_back(fd));
        0
    })
}

/// Whether a descriptor is open: 0 or `-errno`.
#[napi]
pub fn descriptor_check(fd: i32) -> Result<i32> {
    on(fd, |_| Ok(()), |()| 0)
}

/// A close-on-exec copy that is ours.
#[napi]
pub fn descriptor_duplicate(fd: i32) -> Result<i32> {
    environment::with(|environment| match borrow(fd).and_then(ancillary::duplicate) {
        Ok(copy) => environment.shared.hand_out(copy),
        Err(error) => environment.shared.fail(&error),
    })
}

/// What a descriptor is: `file`, `directory`, `pipe`, `socket`, `listener`, `tty`, `char`, `block`, `memfd` or `anon`;
/// empty where the system call failed.
#[napi]
pub fn descriptor_kind(fd: i32) -> Result<&'static str> {
    environment::with(|environment| match borrow(fd).and_then(ancillary::kind) {
        Ok(kind) => kind.as_str(),
        Err(error) => {
            environment.shared.fail(&error);
            ""
        }
    })
}

/// Whether a socket is a stream: 1 or 0, or `-errno`.
#[napi]
pub fn descriptor_is_stream(fd: i32) -> Result<i32> {
    on(fd, ancillary::socket_type, |kind| {
        i32::from(kind == ancillary::SocketType::Stream)
    })
}

/// Whether programs started from here get the descriptor: 1 or 0, or `-errno`.
#[napi]
pub fn descriptor_inheritable(fd: i32) -> Result<i32> {
    on(fd, ancillary::inheritable, i32::from)
}

/// Sets or clears close-on-exec: 0 or `-errno`.
#[napi]
pub fn descriptor_set_inheritable(fd: i32, inheritable: bool) -> Result<i32> {
    on(fd, |fd| ancillary::set_inheritable(fd, inheritable), |()| 0)
}

/// A pair of connected sockets or, where not `duplex`, a pipe: reader first. One negative number where the system call failed.
#[napi]
pub fn descriptor_pair(duplex: bool) -> Result<Vec<i32>> {
    environment::with(|environment| {
        let shared = &environment.shared;
        match if duplex { ancillary::pair() } else { ancillary::pipe() } {
            Ok((first, second)) => vec![shared.hand_out(first), shared.hand_out(second)],
            Err(error) => vec![shared.fail(&error)],
        }
    })
}

/// A descriptor that can only be read.
#[napi]
pub const ACCESS_READ: i32 = libc::O_RDONLY;
/// A descriptor that can only be written.
#[napi]
pub const ACCESS_WRITE: i32 = libc::O_WRONLY;
