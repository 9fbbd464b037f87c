//! Memory of memfd_create(2), whose seals keep a peer from shrinking it.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl, posix_fallocate};
use nix::sys::memfd::memfd_create;
use nix::unistd::ftruncate;

use fdwire_system::{Error as SystemError, access_mode, check as named, retry};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::linux::memfd::{FLAGS, HAS_FUTURE_WRITE, is_huge};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::other::memfd::{FLAGS, HAS_FUTURE_WRITE, is_huge};
use crate::error::{Error, Result};
use crate::seal::{SEAL_FUTURE_WRITE, SEAL_SHRINK, SEAL_WRITE};

pub(crate) fn create(name: &CStr, size: i64) -> Result<OwnedFd> {
    let fd = memfd(name)?;
    retry("ftruncate", || ftruncate(&fd, size))?;
    // Had now, or refused: memory that runs out when it is first touched is SIGBUS.
    retry("posix_fallocate", || posix_fallocate(&fd, 0, size))?;
    add_seals(fd.as_fd(), SEAL_SHRINK)?;
    Ok(fd)
}

fn memfd(name: &CStr) -> Result<OwnedFd> {
    let mut result = Err(Errno::EINVAL);
    for &flags in FLAGS {
        result = memfd_create(name, flags);
        // An older kernel does not know all of them.
        if result.as_ref().err() != Some(&Errno::EINVAL) {
            break;
        }
    }
    Ok(named("memfd_create", result)?)
}

pub(crate) fn seals(fd: BorrowedFd<'_>) -> Result<i32> {
    match fcntl(fd, FcntlArg::F_GET_SEALS) {
        Ok(seals) => Ok(seals),
        Err(Errno::EINVAL) => Err(Error::NotMemory),
        Err(errno) => Err(SystemError::system("fcntl", errno).into()),
    }
}

pub(crate) fn add_seals(fd: BorrowedFd<'_>, seals: i32) -> Result<()> {
    if seals & SEAL_FUTURE_WRITE != 0 && !HAS_FUTURE_WRITE {
        return Err(SystemError::Unsupported("sealing memory that is still written").into());
    }
    retry("fcntl", || {
        fcntl(fd, FcntlArg::F_ADD_SEALS(SealFlag::from_bits_retain(seals)))
    })?;
    Ok(())
}

/// Whether `fd` can be mapped without danger, and then whether it must be a private mapping.
pub(crate) fn check(fd: BorrowedFd<'_>) -> Result<bool> {
    let seals = seals(fd)?;
    // Huge pages can run out when they are touched.
    if is_huge(fd) {
        return Err(Error::NotMemory);
    }
    if seals & SEAL_SHRINK == 0 {
        return Err(Error::Shrinkable);
    }
    Ok(seals & (SEAL_WRITE | SEAL_FUTURE_WRITE) != 0 || access_mode(fd)? == libc::O_RDONLY)
}
