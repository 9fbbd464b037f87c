//! Pipes, terminals and other descriptors without `recvmsg`.

use std::os::fd::{BorrowedFd, OwnedFd};

use fdwire_system::{Result, check, retry};

use crate::platform;
use crate::region::{Source, Target};

/// A pipe: its reading end, then its writing end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    check("pipe", platform::pipe())
}

/// Reads; `EAGAIN` instead of waiting unless `wait`. 0 is the end.
pub fn read(fd: BorrowedFd<'_>, target: &mut Target<'_>, wait: bool) -> Result<usize> {
    retry("read", || {
        if wait {
            platform::read_waiting(fd, target)
        } else {
            platform::read_now(fd, target)
        }
    })
}

/// Writes; `EAGAIN` instead of waiting unless `wait`. May take a part of the bytes.
pub fn write(fd: BorrowedFd<'_>, buffers: &[Source<'_>], wait: bool) -> Result<usize> {
    retry("write", || {
        if wait {
            platform::write_waiting(fd, buffers)
        } else {
            platform::write_now(fd, buffers)
        }
    })
}
