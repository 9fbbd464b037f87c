//! Memory that system calls read and write, given by address: what is in it may change at any time (other threads of
//! JavaScript's, other processes that map it), so nothing here makes a Rust reference to it or looks at it.

use std::fmt;
use std::marker::PhantomData;

use libc::iovec;

/// Memory that a call fills.
#[repr(transparent)]
pub struct Target<'a> {
    region: iovec,
    memory: PhantomData<&'a mut [u8]>,
}

impl<'a> Target<'a> {
    /// Of bytes that are ours.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        // SAFETY: the borrow is exclusive for `'a`.
        unsafe { Target::from_raw(bytes.as_mut_ptr(), bytes.len()) }
    }

    /// Of memory that others may read and write meanwhile.
    ///
    /// # Safety
    /// For `'a` Rust has no other reference to the `length` bytes at `address`, and whatever is written there is right for
    /// those who have the memory. Where it is not mapped, or not to be written, the call fails (`EFAULT`).
    pub unsafe fn from_raw(address: *mut u8, length: usize) -> Self {
        Target {
            region: iovec {
                iov_base: address.cast(),
                iov_len: length,
            },
            memory: PhantomData,
        }
    }

    /// How many bytes it takes.
    pub fn len(&self) -> usize {
        self.region.iov_len
    }

    /// It takes none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.region.iov_base
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Target({})", self.len())
    }
}

/// Memory that a call takes bytes from.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Source<'a> {
    region: iovec,
    memory: PhantomData<&'a [u8]>,
}

impl<'a> Source<'a> {
    /// Of bytes that are ours.
    pub fn new(bytes: &'a [u8]) -> Self {
        // SAFETY: the borrow keeps the bytes for `'a`.
        unsafe { Source::from_raw(bytes.as_ptr(), bytes.len()) }
    }

    /// Of memory that others may write meanwhile: then what is taken is anybody's guess.
    ///
    /// # Safety
    /// For `'a` the `length` bytes at `address` are not given to somebody else, who might keep secrets there. Where they
    /// are not mapped, the call fails (`EFAULT`).
    pub unsafe fn from_raw(address: *const u8, length: usize) -> Self {
        Source {
            region: iovec {
                iov_base: address.cast_mut().cast(),
                iov_len: length,
            },
            memory: PhantomData,
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.region.iov_len
    }

    /// It has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `length` bytes, or all.
    pub(crate) fn first(self, length: usize) -> Self {
        Source {
            region: iovec {
                iov_len: self.len().min(length),
                ..self.region
            },
            ..self
        }
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Source({})", self.len())
    }
}

/// As the system takes them.
pub(crate) fn iovecs(sources: &[Source<'_>]) -> *const iovec {
    sources.as_ptr().cast()
}

/// As the system takes them.
pub(crate) fn iovecs_mut(targets: &mut [Target<'_>]) -> *mut iovec {
    targets.as_mut_ptr().cast()
}
