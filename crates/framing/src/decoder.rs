use crate::buffer::Buffer;
use crate::error::Error;
use crate::header::Header;
use crate::tags::{Meaning, Tag, Tags};

mod body;
mod records;
pub(crate) mod snapshot;

/// A frame standing at the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The length of its body.
    pub body_len: u64,
    /// All of the body is buffered: [`Decoder::take`] may be called.
    pub complete: bool,
}

/// Turns what was read from a stream into messages, their descriptors (`F`) included.
///
/// After each read, [`feed`](Self::feed) the bytes and [`attach`](Self::attach) the descriptors before anything else is
/// asked. Then take acknowledgements and frames until [`peek`](Self::peek) finds none complete.
#[derive(Debug)]
pub struct Decoder<F> {
    buffer: Buffer,
    /// Of the first byte buffered.
    position: u64,
    tags: Tags<F>,
    body: Option<Body>,
    acknowledgements_due: usize,
    records_arrived: usize,
    /// Records before this position are in `records_arrived`.
    records_counted_to: u64,
    lost: bool,
}

#[derive(Clone, Copy, Debug)]
struct Body {
    len: u64,
    filled: u64,
}

/// What stands at the boundary: so many records, then a header (its length, that of its body) if it is all there.
struct Front {
    records: usize,
    header: Option<(usize, u64)>,
}

impl<F> Default for Decoder<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> Decoder<F> {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self {
            buffer: Buffer::default(),
            position: 0,
            tags: Tags::new(),
            body: None,
            acknowledgements_due: 0,
            records_arrived: 0,
            records_counted_to: 0,
            lost: false,
        }
    }

    /// Appends what was read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.push(bytes);
    }

    /// Nothing is buffered, tagged, due or under way: the next byte begins a frame.
    pub fn is_clear(&self) -> bool {
        self.buffer.len() == 0 && self.tags.is_empty() && self.acknowledgements_due == 0 && !self.in_body()
    }

    /// Hands the bodies of the frames that `bytes`, just read without descriptors, begin with to `take`, as far as they are
    /// complete and it returns true. Returns how many bytes were taken so; the rest is to be fed.
    ///
    /// # Panics
    ///
    /// If [`is_clear`](Self::is_clear) is false.
    pub fn pass(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8]) -> bool) -> usize {
        assert!(self.is_clear(), "what came before comes first");
        let mut passed = 0;
        while let Ok(Some((header_len, body_len))) = Header::decode(&bytes[passed..]) {
            let body = usize::try_from(body_len).ok();
            let body = body.and_then(|len| bytes[passed + header_len..].get(..len));
            if !body.is_some_and(&mut take) {
                break;
            }
            passed += header_len + body_len as usize;
        }
        self.position += passed as u64;
        self.lost = false;
        passed
    }

    /// The stream position just after the last byte fed or read directly.
    pub fn end(&self) -> u64 {
        self.position + self.buffer.len() as u64
    }

    /// Tags `fds` with the stream position of the byte they arrived with. Without descriptors, nothing happens.
    ///
    /// `exact`: the read ended at that byte by itself (it was shorter than its window), so a record's byte is known to be
    /// alone. Otherwise a tagged byte at a boundary is a record only if it is the number of descriptors modulo 256, and the
    /// start of a header if not.
    ///
    /// # Panics
    ///
    /// If a later byte is tagged already. Tags that a peer names are for [`restore`](Self::restore).
    pub fn attach(&mut self, position: u64, fds: Vec<F>, exact: bool) {
        if !fds.is_empty() {
            self.tags.push(Tag { position, fds, exact });
        }
    }

    /// Like [`attach`](Self::attach), for descriptors that could not be received (`MSG_CTRUNC`). They count as any other
    /// for what stands where; see [`descriptors_lost`](Self::descriptors_lost).
    pub fn attach_lost(&mut self, position: u64, exact: bool) {
        self.tags.push(Tag {
            position,
            fds: Vec::new(),
            exact,
        });
    }

    /// Whether some descriptors of what was taken last (message or record) had been lost.
    pub fn descriptors_lost(&self) -> bool {
        self.lost
    }

    /// Bytes fed and not yet taken.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Descriptors held and not yet taken, for the caller to stop reading at some number. Each loss counts as one, so that
    /// these are bounded too.
    pub fn unclaimed(&self) -> usize {
        self.tags.descriptors()
    }

    /// The frame at the boundary, looking past handle records; nothing is consumed. `None`: its header is not all here, or
    /// a body is under way.
    ///
    /// # Errors
    ///
    /// Each time, until something is done about it:
    ///
    /// - [`Error::DescriptorCount`]: a record that is not the number of its descriptors. Whoever reports that calls
    ///   [`skip_refused`](Self::skip_refused) and can go on.
    /// - [`Error::NegativeLength`]: there is no going on.
    pub fn peek(&mut self) -> Result<Option<Frame>, Error> {
        if self.in_body() {
            return Ok(None);
        }
        let Front { records, header } = self.front()?;
        let frame = header.map(|(header_len, body_len)| Frame {
            body_len,
            complete: (self.buffer.len() - records - header_len) as u64 >= body_len,
        });
        if !frame.is_some_and(|frame| frame.complete) {
            self.buffer.trim();
        }
        Ok(frame)
    }

    /// How many bytes can be read without going past the frame: up to the end of its header while that is incomplete, up to
    /// the end of its body then. 0: it is complete.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek).
    pub fn missing(&mut self) -> Result<u64, Error> {
        let needed = match self.body {
            Some(body) => body.len - body.filled,
            None => {
                let Front { records, header } = self.front()?;
                let (header_len, body_len) =
                    header.unwrap_or_else(|| (Header::expected_len(&self.buffer.as_slice()[records..]), 0));
                body_len.saturating_add((records + header_len) as u64)
            }
        };
        Ok(needed.saturating_sub(self.buffer.len() as u64))
    }

    /// Takes the frame at the boundary: copies its body to the start of `out` and returns its message's descriptors, in the
    /// order they came: of the records before it, then those attached to its own bytes.
    ///
    /// # Panics
    ///
    /// If [`peek`](Self::peek) did not say `complete`, or `out` is shorter than the body.
    pub fn take(&mut self, out: &mut [u8]) -> Vec<F> {
        self.take_with(|body| out[..body.len()].copy_from_slice(body))
    }

    /// The same, where the body is for the caller to copy.
    ///
    /// # Panics
    ///
    /// If [`peek`](Self::peek) did not say `complete`.
    pub fn take_with(&mut self, copy: impl FnOnce(&[u8])) -> Vec<F> {
        let (body_start, body_len) = self.message();
        let body_len = body_len as usize;
        copy(&self.buffer.as_slice()[body_start..][..body_len]);
        self.consume(body_start + body_len);
        self.claim()
    }

    /// Puts a message without descriptors back in front: the next frame is it. For those who took more than they used, last
    /// taken first.
    pub fn unread(&mut self, body: &[u8]) {
        let header = Header::encode(body.len() as u64);
        self.buffer.push_front(body);
        self.buffer.push_front(header.as_bytes());
        self.position -= (body.len() + header.as_bytes().len()) as u64;
    }

    /// The peer closed. Drops what is left, and returns whether that cuts a message: the beginning of a frame, a record
    /// awaiting its frame, a body begun. Take acknowledgements and complete frames first.
    pub fn end_of_stream(&mut self) -> bool {
        let truncated = self.buffer.len() > 0 || self.body_filled() < self.body_len();
        self.refuse_all();
        truncated
    }

    /// Drops all that is buffered and all descriptors, and gives up the body begun: for a stream that breaks the rules.
    pub fn refuse_all(&mut self) {
        self.consume(self.buffer.len());
        self.tags.clear();
        self.body = None;
    }

    fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
        self.position += count as u64;
    }

    /// The descriptors of all that was consumed.
    fn claim(&mut self) -> Vec<F> {
        let (fds, lost) = self.tags.take_before(self.position);
        self.lost = lost;
        fds
    }

    /// Where the body of the frame at the boundary starts in the buffer, and its length.
    fn message(&mut self) -> (usize, u64) {
        match self.front() {
            Ok(Front {
                records,
                header: Some((header_len, body_len)),
            }) if !self.in_body() => (records + header_len, body_len),
            _ => panic!("no frame stands at the boundary"),
        }
    }

    fn front(&mut self) -> Result<Front, Error> {
        let records = self.records();
        if self.meaning(records) == Some(Meaning::Mismatch) {
            return Err(self.mismatch(records));
        }
        Ok(Front {
            records,
            header: Header::decode(&self.buffer.as_slice()[records..])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    #[test]
    fn only_the_bytes_of_an_incomplete_frame_are_kept() {
        let mut decoder: Decoder<u32> = Decoder::new();
        decoder.feed(&[0; 4000]);
        decoder.feed(&[0, 0, 0, 9, 1]);
        while decoder.peek().unwrap().is_some_and(|frame| frame.complete) {
            decoder.take(&mut []);
        }
        assert_eq!((decoder.buffered(), decoder.buffer.capacity()), (5, 5));
    }
}
