//! What differs between systems.

use std::ffi::c_void;
use std::ptr::NonNull;

/// Asks for huge pages in a mapping, where they have to be asked for. Only advice.
#[doc(alias = "MADV_HUGEPAGE")]
pub(crate) fn advise_huge_pages(address: NonNull<c_void>, length: usize) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use nix::sys::mman::{MmapAdvise, madvise};
        // SAFETY: the advice changes no byte of the mapping.
        let _ = unsafe { madvise(address, length, MmapAdvise::MADV_HUGEPAGE) };
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (address, length);
}
