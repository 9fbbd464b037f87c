//! One memory, made and mapped.

use std::ffi::{CStr, c_void};
use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use nix::sys::stat::fstat;

use fdwire_system::{Error as SystemError, check};

use crate::error::Result;
use crate::platform;

/// Makes `size` bytes of zeroed memory that cannot shrink. `name` is for those who debug.
#[doc(alias = "memfd_create")]
pub fn create_memory(name: &CStr, size: u64) -> Result<OwnedFd> {
    let size = i64::try_from(size).map_err(|_| SystemError::system("ftruncate", Errno::EFBIG))?;
    platform::create(name, size)
}

/// The seals of memory, of `SEAL_...`; the system may have more of them.
#[doc(alias = "F_GET_SEALS")]
pub fn seals(fd: BorrowedFd<'_>) -> Result<i32> {
    platform::seals(fd)
}

/// Adds seals, which nobody can take off again.
#[doc(alias = "F_ADD_SEALS")]
pub fn add_seals(fd: BorrowedFd<'_>, seals: i32) -> Result<()> {
    platform::add_seals(fd, seals)
}

/// A memory, mapped into this process until dropped.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<c_void>,
    length: NonZeroUsize,
    private: bool,
}

// SAFETY: a range of addresses, which belongs to the process and to no thread. Nothing here reads or writes in it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `size` bytes of `fd`, or all that it has, which may be whole pages: at most `max` (`EFBIG`). What
    /// cannot be written is mapped as a private copy, page by page as it is written: a page that may not be written at
    /// all would be a fatal signal as well.
    pub fn new(fd: BorrowedFd<'_>, size: Option<u64>, max: u64) -> Result<Mapping> {
        let failed = |errno| SystemError::system("mmap", errno);
        let private = platform::check(fd)?;
        let stat = check("fstat", fstat(fd))?;
        let all = u64::try_from(stat.st_size).unwrap_or(0);
        let length = size.unwrap_or(all);
        if length > max {
            return Err(failed(Errno::EFBIG).into());
        }
        if length > all {
            return Err(failed(Errno::EINVAL).into());
        }
        let length = usize::try_from(length).map_err(|_| failed(Errno::EFBIG))?;
        let length = NonZeroUsize::new(length).ok_or(failed(Errno::EINVAL))?;
        let flags = if private {
            MapFlags::MAP_PRIVATE
        } else {
            MapFlags::MAP_SHARED
        };
        // SAFETY: a new range wherever the system finds room.
        let address = unsafe { mmap(None, length, READ_WRITE, flags, fd, 0) }.map_err(failed)?;
        Ok(Mapping {
            address,
            length,
            private,
        })
    }

    /// Where it begins.
    pub fn address(&self) -> NonNull<c_void> {
        self.address
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.length.get()
    }

    /// Whether what is written here stays here.
    pub fn private(&self) -> bool {
        self.private
    }

    /// Gives the memory up, and puts zeroed memory in its place: the range stays safe to touch until this is dropped.
    pub fn release(&self) {
        let address = NonZeroUsize::new(self.address.as_ptr() as usize);
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
        // Where the system refuses, the memory is given up when this is dropped.
        // SAFETY: exactly the range that is ours; whoever has its address still finds memory there.
        let _ = unsafe { mmap_anonymous(address, self.length, READ_WRITE, flags) };
    }
}

const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and whoever drops this has no use for it any more.
        let _ = unsafe { munmap(self.address, self.length.get()) };
    }
}
