//! The BSDs and macOS.

use std::ffi::c_void;
use std::ptr::NonNull;

pub(crate) fn advise_huge_pages(_address: NonNull<c_void>, _length: usize) {}

#[cfg(not(target_vendor = "apple"))]
pub(super) mod memfd {
    use std::os::fd::BorrowedFd;

    use nix::sys::memfd::MFdFlags;

    /// What memory is made with.
    pub(crate) const FLAGS: &[MFdFlags] = &[MFdFlags::MFD_CLOEXEC.union(MFdFlags::MFD_ALLOW_SEALING)];

    pub(crate) const HAS_FUTURE_WRITE: bool = false;

    pub(crate) fn is_huge(_fd: BorrowedFd<'_>) -> bool {
        false
    }
}
