use std::ffi::c_void;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};

/// Asks for huge pages in a mapping, where they have to be asked for. Only advice.
#[doc(alias = "MADV_HUGEPAGE")]
pub(crate) fn advise_huge_pages(address: NonNull<c_void>, length: usize) {
    // SAFETY: the advice changes no byte of the mapping.
    let _ = unsafe { madvise(address, length, MmapAdvise::MADV_HUGEPAGE) };
}

pub(super) mod memfd {
    use std::os::fd::BorrowedFd;

    use nix::sys::memfd::MFdFlags;
    use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};

    const MEMFD: MFdFlags = MFdFlags::MFD_CLOEXEC.union(MFdFlags::MFD_ALLOW_SEALING);
    /// MFD_NOEXEC_SEAL, Linux 6.3: systems may refuse memory that could be executed.
    const NOT_EXECUTABLE: MFdFlags = MFdFlags::from_bits_retain(8);
    /// What memory is made with: the first set that the kernel knows.
    pub(crate) const FLAGS: &[MFdFlags] = &[MEMFD.union(NOT_EXECUTABLE), MEMFD];

    pub(crate) const HAS_FUTURE_WRITE: bool = true;

    pub(crate) fn is_huge(fd: BorrowedFd<'_>) -> bool {
        fstatfs(fd).is_ok_and(|stat| stat.filesystem_type() == HUGETLBFS_MAGIC)
    }
}
