//! Memory that is not ours alone: JavaScript, its workers and other processes may write it, and it may vanish.
//!
//! It is never a slice. The kernel gets its address; what is copied out or in goes through [`Region`], whose loads and
//! stores are atomic each, so that a racing writer spoils the bytes and nothing else.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const WORD: usize = size_of::<usize>();

/// An address and a length that are good for `'a`.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    data: *mut u8,
    length: usize,
    memory: PhantomData<&'a [AtomicU8]>,
}

impl<'a> Region<'a> {
    /// # Safety
    /// For `'a` the `length` bytes at `data` are mapped, readable and, where something is written through the region,
    /// writable. Nobody in Rust uses references to them meanwhile; others may write them at any time.
    pub unsafe fn new(data: *mut u8, length: usize) -> Region<'a> {
        Region {
            data,
            length,
            memory: PhantomData,
        }
    }

    /// Of bytes that are ours.
    pub fn of(bytes: &'a mut [u8]) -> Region<'a> {
        // SAFETY: the borrow is exclusive for `'a`.
        unsafe { Region::new(bytes.as_mut_ptr(), bytes.len()) }
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The address.
    pub fn as_ptr(&self) -> *mut u8 {
        self.data
    }

    /// A part; `None` where it is not all within.
    pub fn get(self, range: Range<usize>) -> Option<Region<'a>> {
        if range.start > range.end || range.end > self.length {
            return None;
        }
        // SAFETY: within the region, whose promises hold for its parts.
        Some(unsafe { Region::new(self.data.add(range.start), range.end - range.start) })
    }

    /// The first `length` bytes, or all.
    pub(crate) fn first(self, length: usize) -> Region<'a> {
        Region {
            length: self.length.min(length),
            ..self
        }
    }

    /// Copies `bytes` to its start, as many as fit.
    pub fn write(self, bytes: &[u8]) {
        let count = bytes.len().min(self.length);
        let bytes = &bytes[..count];
        let head = self.data.align_offset(WORD).min(count);
        let words = (count - head) / WORD;
        // SAFETY: all addresses are within the region, and words are aligned. Atomics may be written beside others.
        unsafe {
            for (index, byte) in bytes[..head].iter().enumerate() {
                AtomicU8::from_ptr(self.data.add(index)).store(*byte, Ordering::Relaxed);
            }
            let (chunks, _) = bytes[head..].as_chunks::<WORD>();
            let base = self.data.add(head);
            for (index, chunk) in chunks.iter().enumerate() {
                AtomicUsize::from_ptr(base.add(index * WORD).cast())
                    .store(usize::from_ne_bytes(*chunk), Ordering::Relaxed);
            }
            for (index, byte) in bytes.iter().enumerate().skip(head + words * WORD) {
                AtomicU8::from_ptr(self.data.add(index)).store(*byte, Ordering::Relaxed);
            }
        }
    }

    /// Appends a copy of it to `bytes`.
    pub fn append_to(self, bytes: &mut Vec<u8>) {
        let head = self.data.align_offset(WORD).min(self.length);
        let words = (self.length - head) / WORD;
        bytes.reserve(self.length);
        // SAFETY: as in `write`.
        unsafe {
            let byte = |index: usize| AtomicU8::from_ptr(self.data.add(index)).load(Ordering::Relaxed);
            bytes.extend((0..head).map(byte));
            let base = self.data.add(head);
            for index in 0..words {
                let word = AtomicUsize::from_ptr(base.add(index * WORD).cast()).load(Ordering::Relaxed);
                bytes.extend_from_slice(&word.to_ne_bytes());
            }
            bytes.extend((head + words * WORD..self.length).map(byte));
        }
    }

    /// A copy of it.
    pub fn to_vec(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append_to(&mut bytes);
        bytes
    }

    /// Copies it to the start of `target`, as much as fits.
    pub fn copy_to(self, target: Region<'_>) {
        const PART: usize = 64 * 1024;
        let count = self.length.min(target.length);
        let mut bytes = Vec::with_capacity(count.min(PART));
        for start in (0..count).step_by(PART) {
            let end = count.min(start + PART);
            if let (Some(from), Some(to)) = (self.get(start..end), target.get(start..end)) {
                bytes.clear();
                from.append_to(&mut bytes);
                to.write(&bytes);
            }
        }
    }
}

/// Bytes to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Bytes<'a> {
    /// Ours.
    Ours(&'a [u8]),
    /// Memory that others may write.
    Theirs(Region<'a>),
}

impl<'a> Bytes<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Bytes::Ours(bytes) => bytes.len(),
            Bytes::Theirs(region) => region.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address; nothing is to be written there.
    pub fn as_ptr(&self) -> *const u8 {
        match self {
            Bytes::Ours(bytes) => bytes.as_ptr(),
            Bytes::Theirs(region) => region.as_ptr(),
        }
    }

    /// The first `length` of them, or all.
    pub(crate) fn first(self, length: usize) -> Bytes<'a> {
        match self {
            Bytes::Ours(bytes) => Bytes::Ours(&bytes[..bytes.len().min(length)]),
            Bytes::Theirs(region) => Bytes::Theirs(region.first(length)),
        }
    }

    /// Appends a copy to `bytes`.
    pub fn append_to(self, bytes: &mut Vec<u8>) {
        match self {
            Bytes::Ours(ours) => bytes.extend_from_slice(ours),
            Bytes::Theirs(region) => region.append_to(bytes),
        }
    }
}

/// A buffer of somebody's that is held, so that it is not freed; its memory may be taken away all the same.
pub trait Memory {
    /// Where its memory is now, of the length it had at first; `None` once it is gone.
    fn region(&mut self) -> Option<Region<'_>>;
}

impl Memory for Vec<u8> {
    fn region(&mut self) -> Option<Region<'_>> {
        Some(Region::of(self))
    }
}

/// A buffer that a call was given, and that can be held for longer than that.
pub trait Offer: Memory {
    /// What holds it.
    type Held: Memory;

    /// Holds it; `None` where that fails.
    fn hold(&self) -> Option<Self::Held>;
}

/// The buffer of a call, or one that is held.
#[derive(Debug)]
pub(crate) enum Buffer<O: Offer> {
    Offered(O),
    Held(O::Held),
}

impl<O: Offer> Buffer<O> {
    pub(crate) fn hold(self) -> Option<O::Held> {
        match self {
            Buffer::Offered(offer) => offer.hold(),
            Buffer::Held(held) => Some(held),
        }
    }
}

impl<O: Offer> Memory for Buffer<O> {
    fn region(&mut self) -> Option<Region<'_>> {
        match self {
            Buffer::Offered(offer) => offer.region(),
            Buffer::Held(held) => held.region(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_at_any_offset_is_read_back() {
        for offset in 0..20 {
            for length in [0, 1, 7, 8, 9, 31, 64] {
                let bytes: Vec<u8> = (0..length as u8).collect();
                let mut memory = vec![0xff; 100];
                let region = Region::of(&mut memory);
                let Some(part) = region.get(offset..offset + length) else {
                    panic!("within")
                };
                part.write(&bytes);
                assert_eq!(part.to_vec(), bytes);
                assert!(
                    memory[..offset]
                        .iter()
                        .chain(&memory[offset + length..])
                        .all(|&byte| byte == 0xff)
                );
            }
        }
    }

    #[test]
    fn a_part_that_is_not_all_within_is_none() {
        let mut memory = [0; 4];
        let region = Region::of(&mut memory);
        assert!(region.get(0..5).is_none());
        assert!(region.get(4..4).is_some_and(|part| part.is_empty()));
    }

    #[test]
    fn regions_are_copied_as_far_as_they_fit() {
        let mut from: Vec<u8> = (0..200_000u32).map(|index| index as u8).collect();
        let mut to = vec![0; 150_001];
        Region::of(&mut from).copy_to(Region::of(&mut to).get(1..150_001).expect("within"));
        assert_eq!(to[1..], from[..150_000]);
    }
}
