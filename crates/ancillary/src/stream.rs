//! Pipes, terminals and other descriptors without `recvmsg`.

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};

use fdwire_system::{Result, check, retry};

use crate::platform;

/// A pipe: its reading end, then its writing end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    check("pipe", platform::pipe())
}

/// Reads; `EAGAIN` instead of waiting unless `wait`. 0 is the end.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8], wait: bool) -> Result<usize> {
    retry("read", || {
        if wait {
            platform::read_waiting(fd, buffer)
        } else {
            platform::read_now(fd, buffer)
        }
    })
}

/// Writes; `EAGAIN` instead of waiting unless `wait`. May take a part of the bytes.
pub fn write(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>], wait: bool) -> Result<usize> {
    retry("write", || {
        if wait {
            platform::write_waiting(fd, buffers)
        } else {
            platform::write_now(fd, buffers)
        }
    })
}
