//! Descriptors as JavaScript sees them: numbers, of which some are ours to close.

use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use fdwire_ancillary::{self as ancillary, Errno};
use fdwire_engine::Error;
use napi::Result;
use napi::bindgen_prelude::Either;
use napi_derive::napi;

use crate::codes::{answer, code};
use crate::environment::{self, answering};

/// There is no such descriptor, or it is not ours.
pub(crate) const BAD_DESCRIPTOR: Error = Error::System {
    syscall: "fcntl",
    errno: Errno::EBADF,
};

/// Lends `f` an open descriptor by its number.
pub(crate) fn borrow<R, E: From<Error>>(
    fd: i32,
    f: impl FnOnce(BorrowedFd<'_>) -> std::result::Result<R, E>,
) -> std::result::Result<R, E> {
    if !ancillary::is_open(fd) {
        return Err(BAD_DESCRIPTOR.into());
    }
    // SAFETY: it is open (and not -1), and JavaScript, which could close it, runs on this thread only: it stays open for
    // the call that asked.
    f(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Lends `f` descriptors whose numbers may be none, for one system call that reports so itself.
pub(crate) fn borrow_all<R>(fds: &[i32], f: impl FnOnce(&[BorrowedFd<'_>]) -> R) -> fdwire_engine::Result<R> {
    if fds.iter().any(|&fd| fd < 0) {
        return Err(BAD_DESCRIPTOR);
    }
    // SAFETY: not -1, and none is kept longer than `f`, which passes them to a system call.
    let borrowed: Vec<_> = fds.iter().map(|&fd| unsafe { BorrowedFd::borrow_raw(fd) }).collect();
    Ok(f(&borrowed))
}

fn on<R>(
    fd: i32,
    f: impl FnOnce(BorrowedFd<'_>) -> ancillary::Result<R>,
    result: impl FnOnce(R) -> i32,
) -> Result<i32> {
    Ok(answer(borrow(fd, |fd| f(fd).map_err(Error::from)).map(result)))
}

/// Makes a descriptor ours: close-on-exec from now on. Returns its number or a code.
#[napi(catch_unwind)]
pub fn descriptor_adopt(fd: i32) -> Result<i32> {
    answering(|environment| {
        borrow(fd, |borrowed| {
            Ok::<_, Error>(ancillary::set_inheritable(borrowed, false)?)
        })?;
        // SAFETY: it is open, and the caller gives it up.
        Ok(environment
            .shared()
            .descriptors
            .hand_out(unsafe { OwnedFd::from_raw_fd(fd) }))
    })
}

/// Gives a descriptor of ours up, without closing it.
#[napi(catch_unwind)]
pub fn descriptor_release(fd: i32) -> Result<()> {
    environment::with(|environment| {
        if let Some(owned) = environment.shared().descriptors.take_back(fd) {
            let _ = owned.into_raw_fd();
        }
    })
}

/// Whether a descriptor is open: 0 or a code.
#[napi(catch_unwind)]
pub fn descriptor_check(fd: i32) -> Result<i32> {
    on(fd, |_| Ok(()), |()| 0)
}

/// A close-on-exec copy that is ours.
#[napi(catch_unwind)]
pub fn descriptor_duplicate(fd: i32) -> Result<i32> {
    answering(|environment| {
        let copy = borrow(fd, |fd| Ok::<_, Error>(ancillary::duplicate(fd)?))?;
        Ok(environment.shared().descriptors.hand_out(copy))
    })
}

/// What a descriptor is: `file`, `directory`, `pipe`, `socket`, `listener`, `tty`, `char`, `block`, `memfd` or `anon`; or a
/// code.
#[napi(catch_unwind)]
pub fn descriptor_kind(fd: i32) -> Either<&'static str, i32> {
    match borrow(fd, |fd| Ok::<_, Error>(ancillary::kind(fd)?)) {
        Ok(kind) => Either::A(kind.as_str()),
        Err(error) => Either::B(code(error)),
    }
}

/// Whether a socket is a stream: 1 or 0, or a code.
#[napi(catch_unwind)]
pub fn descriptor_is_stream(fd: i32) -> Result<i32> {
    on(fd, ancillary::socket_type, |kind| {
        i32::from(kind == ancillary::SocketType::Stream)
    })
}

/// Whether programs started from here get the descriptor: 1 or 0, or a code.
#[napi(catch_unwind)]
pub fn descriptor_inheritable(fd: i32) -> Result<i32> {
    on(fd, ancillary::inheritable, i32::from)
}

/// Sets or clears close-on-exec: 0 or a code.
#[napi(catch_unwind)]
pub fn descriptor_set_inheritable(fd: i32, inheritable: bool) -> Result<i32> {
    on(fd, |fd| ancillary::set_inheritable(fd, inheritable), |()| 0)
}

/// A pair of connected sockets or, where not `duplex`, a pipe: reader first; or a code.
#[napi(catch_unwind)]
pub fn descriptor_pair(duplex: bool) -> Result<Either<Vec<i32>, i32>> {
    environment::with(|environment| {
        let descriptors = &environment.shared().descriptors;
        match if duplex { ancillary::pair() } else { ancillary::pipe() } {
            Ok((first, second)) => Either::A(vec![descriptors.hand_out(first), descriptors.hand_out(second)]),
            Err(error) => Either::B(code(error.into())),
        }
    })
}
