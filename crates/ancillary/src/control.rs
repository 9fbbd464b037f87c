//! Control messages as bytes. Nothing here touches a descriptor or trusts a length: what the system (or a test) wrote is
//! clamped to the buffer, so any bytes at all can be walked.

use std::os::fd::RawFd;

/// `struct cmsghdr` and its padding.
// SAFETY: arithmetic only.
const HEADER: usize = unsafe { libc::CMSG_LEN(0) } as usize;
// SAFETY: arithmetic only.
const ALIGNMENT: usize = unsafe { libc::CMSG_SPACE(1) - libc::CMSG_SPACE(0) } as usize;
const _: () = assert!(HEADER >= size_of::<libc::cmsghdr>());

/// Bytes that a control message with `length` bytes of data takes up.
#[doc(alias = "CMSG_SPACE")]
pub(crate) const fn space(length: usize) -> usize {
    HEADER + length.next_multiple_of(ALIGNMENT)
}

/// A control message that this crate does not interpret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlMessage {
    /// `cmsg_level`, such as `SOL_SOCKET`.
    pub level: i32,
    /// `cmsg_type`, such as `SCM_RIGHTS`.
    pub kind: i32,
    /// `CMSG_DATA`.
    pub data: Vec<u8>,
}

/// One control message, as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) level: i32,
    pub(crate) kind: i32,
    pub(crate) data: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(crate) fn is(&self, level: i32, kind: i32) -> bool {
        self.level == level && self.kind == kind
    }

    /// The data as whole descriptor numbers; a partial one at the end is none, and neither is a negative one.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> + use<'a> {
        let (numbers, _) = self.data.as_chunks::<{ size_of::<RawFd>() }>();
        numbers
            .iter()
            .map(|bytes| RawFd::from_ne_bytes(*bytes))
            .filter(|fd| *fd >= 0)
    }
}

/// Walks the control messages in `control`.
pub(crate) fn entries(control: &[u8]) -> Entries<'_> {
    Entries { rest: control }
}

#[derive(Debug, Clone)]
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.rest.len() < HEADER {
            return None;
        }
        // SAFETY: cmsghdr is plain integers, and the slice holds HEADER bytes, which is at least its size.
        let header = unsafe { self.rest.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
        let announced: usize = header.cmsg_len as _;
        if announced < HEADER {
            self.rest = &[];
            return None;
        }
        // macOS leaves the untruncated length in the header of a truncated message: believe the buffer.
        let end = announced.min(self.rest.len());
        let data = &self.rest[HEADER..end];
        self.rest = self.rest.get(space(data.len())..).unwrap_or_default();
        Some(Entry {
            level: header.cmsg_level,
            kind: header.cmsg_type,
            data,
        })
    }
}

/// Writes a control message into `buffer` at `offset` and returns the offset behind it; `buffer` has [`space`] for it.
pub(crate) fn append(
    buffer: &mut [u8],
    offset: usize,
    level: i32,
    kind: i32,
    data: impl ExactSizeIterator<Item = u8>,
) -> usize {
    let length = data.len();
    let target = &mut buffer[offset..offset + space(length)];
    target.fill(0);
    // SAFETY: an integer-only struct, for which all zeroes is a value.
    let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
    header.cmsg_len = (HEADER + length) as _;
    header.cmsg_level = level;
    header.cmsg_type = kind;
    // SAFETY: `target` holds at least HEADER bytes, which is at least the size of cmsghdr.
    unsafe { target.as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(header) };
    for (slot, byte) in target[HEADER..].iter_mut().zip(data) {
        *slot = byte;
    }
    offset + space(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(messages: &[ControlMessage]) -> Vec<u8> {
        let mut buffer = vec![0xff; messages.iter().map(|message| space(message.data.len())).sum()];
        let mut end = 0;
        for message in messages {
            end = append(
                &mut buffer,
                end,
                message.level,
                message.kind,
                message.data.iter().copied(),
            );
        }
        assert_eq!(end, buffer.len());
        buffer
    }

    fn decode(control: &[u8]) -> Vec<ControlMessage> {
        entries(control)
            .map(|entry| ControlMessage {
                level: entry.level,
                kind: entry.kind,
                data: entry.data.to_vec(),
            })
            .collect()
    }

    fn message() -> impl Strategy<Value = ControlMessage> {
        (any::<i32>(), any::<i32>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(level, kind, data)| ControlMessage { level, kind, data })
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_walked(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut total = 0;
            for entry in entries(&bytes) {
                total += HEADER + entry.data.len();
                prop_assert!(entry.descriptors().count() <= entry.data.len() / 4);
                prop_assert!(entry.descriptors().all(|fd| fd >= 0));
            }
            prop_assert!(total <= bytes.len());
        }

        #[test]
        fn a_small_length_in_the_header_is_walked_too(length in 0usize..64, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut control = length.to_ne_bytes().to_vec();
            control.extend(bytes);
            for entry in entries(&control) {
                prop_assert!(entry.data.len() <= control.len() - HEADER);
            }
        }

        #[test]
        fn what_is_appended_is_found(messages in prop::collection::vec(message(), 0..5)) {
            prop_assert_eq!(decode(&encode(&messages)), messages);
        }

        #[test]
        fn a_cut_buffer_gives_a_prefix(messages in prop::collection::vec(message(), 1..4), cut in any::<prop::sample::Index>()) {
            let whole = encode(&messages);
            let cut = &whole[..cut.index(whole.len())];
            for (found, sent) in decode(cut).iter().zip(&messages) {
                prop_assert_eq!((found.level, found.kind), (sent.level, sent.kind));
                prop_assert!(sent.data.starts_with(&found.data));
            }
        }
    }

    #[test]
    fn an_untruncated_length_is_clamped_to_whole_descriptors() {
        let numbers: Vec<u8> = (3..9_i32).flat_map(i32::to_ne_bytes).collect();
        let whole = encode(&[ControlMessage {
            level: libc::SOL_SOCKET,
            kind: libc::SCM_RIGHTS,
            data: numbers,
        }]);
        let cut = &whole[..HEADER + 10];
        let found: Vec<RawFd> = entries(cut).flat_map(|entry| entry.descriptors()).collect();
        assert_eq!(found, [3, 4]);
    }
}
