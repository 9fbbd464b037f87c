//! Pipes, terminals and other descriptors without `recvmsg`.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::error::retry;
use crate::{Error, Result, platform};

/// A pipe: its reading end, then its writing end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    platform::pipe().map_err(|errno| Error::system("pipe", errno))
}

/// Reads; `EAGAIN` instead of waiting unless `wait`. 0 is the end.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8], wait: bool) -> Result<usize> {
    retry("read", || {
        if wait {
            read_waiting(fd, buffer)
        } else {
            platform::read_now(fd, buffer)
        }
    })
}

/// Writes; `EAGAIN` instead of waiting unless `wait`. May take a part of the bytes.
pub fn write(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>], wait: bool) -> Result<usize> {
    retry("write", || {
        if wait {
            write_waiting(fd, buffers)
        } else {
            platform::write_now(fd, buffers)
        }
    })
}

pub(crate) fn read_waiting(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<usize> {
    // SAFETY: `buffer` is writable for its length.
    let count = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    Errno::result(count).map(|count| count as usize)
}

fn write_waiting(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> nix::Result<usize> {
    // SAFETY: an IoSlice is an iovec by definition, and each is readable for its length.
    let count = unsafe { libc::writev(fd.as_raw_fd(), buffers.as_ptr().cast(), buffers.len() as _) };
    Errno::result(count).map(|count| count as usize)
}
