use nix::sys::socket::SockaddrLike;

/// A `sockaddr` of any family and its length.
pub(crate) struct RawAddress {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl RawAddress {
    const SIZE: libc::socklen_t = size_of::<libc::sockaddr_storage>() as libc::socklen_t;

    /// Space for the system to write any address to.
    pub(crate) fn new() -> Self {
        // SAFETY: plain bytes, for which all zeroes is a value.
        let storage = unsafe { std::mem::zeroed() };
        RawAddress {
            storage,
            length: Self::SIZE,
        }
    }

    /// A copy of an address that nix made.
    pub(crate) fn copy(source: &dyn SockaddrLike) -> Self {
        let mut raw = RawAddress::new();
        raw.set_length(source.len());
        let length = raw.length as usize;
        // SAFETY: `source` has `length` readable bytes, and `length` is clamped to the size of the storage.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr().cast::<u8>(), raw.as_mut_ptr().cast(), length) };
        raw
    }

    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        (&raw mut self.storage).cast()
    }

    pub(crate) fn length(&self) -> libc::socklen_t {
        self.length
    }

    /// The length the system reported, which may be larger than the space it had.
    pub(crate) fn set_length(&mut self, length: libc::socklen_t) {
        self.length = length.min(Self::SIZE);
    }

    pub(crate) fn family(&self) -> i32 {
        i32::from(self.storage.ss_family)
    }

    /// As much of it as the length covers.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the storage is initialised, and `length` is at most its size.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast::<u8>(), self.length as usize) }
    }
}
