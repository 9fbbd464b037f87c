use crate::buffer::Buffer;
use crate::tags::{Meaning, Tag, Tags};
use crate::{Error, Header};

const ACKNOWLEDGEMENT: u8 = b'A';

/// A frame standing at the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The length of its body.
    pub body_len: u64,
    /// All of the body is buffered: [`Decoder::take`] may be called.
    pub complete: bool,
}

/// What a [`Decoder`] has buffered.
#[derive(Debug)]
pub struct Snapshot<'a, F> {
    /// The bytes, from the boundary on.
    pub bytes: &'a [u8],
    /// The offset of a byte in `bytes`, the descriptors that came with it, and whether a read ended there by itself.
    pub tags: Vec<(u64, &'a [F], bool)>,
    /// Acknowledgements that are still due.
    pub acknowledgements_due: usize,
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

    /// A body was begun and is not finished.
    pub fn in_body(&self) -> bool {
        self.body.is_some()
    }

    /// A handle record was sent whose receiver is to acknowledge it.
    pub fn expect_acknowledgement(&mut self) {
        self.acknowledgements_due += 1;
    }

    /// Takes every acknowledgement due that stands at the boundary, or behind handle records there; returns how many.
    /// To be called before each [`peek`](Self::peek), which would read it as a header.
    pub fn take_acknowledgements(&mut self) -> usize {
        let mut taken = 0;
        while self.acknowledgements_due > 0 && !self.in_body() {
            let records = self.records();
            let tagged = self.tags.on(records, self.position + records as u64).is_some();
            if tagged || self.buffer.as_slice().get(records) != Some(&ACKNOWLEDGEMENT) {
                break;
            }
            self.buffer.as_mut_slice().copy_within(..records, 1);
            self.tags.shift(records);
            self.consume(1);
            self.records_counted_to = self.position + records as u64;
            self.acknowledgements_due -= 1;
            taken += 1;
        }
        taken
    }

    /// How many handle records reached the boundary, or were taken, since the last call: the acknowledgements to send, by
    /// those who agreed to. A record counts as soon as it is seen: its sender may wait before it sends the frame.
    pub fn take_arrived_records(&mut self) -> usize {
        if !self.in_body() {
            self.records();
        }
        std::mem::take(&mut self.records_arrived)
    }

    /// The frame at the boundary, looking past handle records; nothing is consumed. `None`: its header is not all here, or
    /// a body is under way.
    ///
    /// # Errors
    ///
    /// - [`Error::DescriptorCount`], once: the record and those before it are consumed and their descriptors dropped.
    /// - [`Error::NegativeLength`], each time.
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

    /// Takes the frame at the boundary in pieces, for large bodies: consumes the records and the header. Then come
    /// [`fill`](Self::fill) and [`filled_directly`](Self::filled_directly) until all of the body went through, and
    /// [`finish`](Self::finish).
    ///
    /// # Panics
    ///
    /// If [`peek`](Self::peek) found no frame.
    pub fn begin_body(&mut self) {
        let (body_start, len) = self.message();
        self.consume(body_start);
        self.body = Some(Body { len, filled: 0 });
    }

    /// The length of the body begun, 0 if none is.
    pub fn body_len(&self) -> u64 {
        self.body.map_or(0, |body| body.len)
    }

    /// How many bytes of the body begun went through.
    pub fn body_filled(&self) -> u64 {
        self.body.map_or(0, |body| body.filled)
    }

    /// Moves buffered bytes of the body begun to the start of `out`, never going past the body; returns how many.
    pub fn fill(&mut self, out: &mut [u8]) -> usize {
        self.fill_with(out.len(), |bytes| out[..bytes.len()].copy_from_slice(bytes))
    }

    /// The same of at most `max` bytes, for the caller to copy.
    pub fn fill_with(&mut self, max: usize, copy: impl FnOnce(&[u8])) -> usize {
        let Some(body) = &mut self.body else {
            return 0;
        };
        let remaining = usize::try_from(body.len - body.filled).unwrap_or(usize::MAX);
        let count = remaining.min(max).min(self.buffer.len());
        copy(&self.buffer.as_slice()[..count]);
        body.filled += count as u64;
        self.consume(count);
        count
    }

    /// The next `count` bytes of the body begun were read straight to where they belong.
    ///
    /// # Panics
    ///
    /// If bytes are buffered (they come first), or the body has not so many bytes left.
    pub fn filled_directly(&mut self, count: usize) {
        assert_eq!(self.buffer.len(), 0, "buffered bytes come first");
        let remaining = self.body_len() - self.body_filled();
        assert!(
            count as u64 <= remaining,
            "{count} bytes read into a body that misses {remaining}"
        );
        if let Some(body) = &mut self.body {
            body.filled += count as u64;
        }
        self.position += count as u64;
    }

    /// Ends the body begun and returns its message's descriptors, as [`take`](Self::take) does.
    ///
    /// # Panics
    ///
    /// If the body is not all through.
    pub fn finish(&mut self) -> Vec<F> {
        assert_eq!(self.body_filled(), self.body_len(), "the body is not all through");
        self.body = None;
        self.claim()
    }

    /// Takes one byte at the boundary, whatever it is, and the descriptors tagged on it; comparing the two is left to the
    /// caller. `None`: nothing is buffered, or a body is under way.
    pub fn take_record(&mut self) -> Option<(u8, Vec<F>)> {
        if self.in_body() {
            return None;
        }
        let byte = *self.buffer.as_slice().first()?;
        self.count_record(self.position);
        self.consume(1);
        Some((byte, self.claim()))
    }

    /// What is buffered, with its descriptors, for another decoder to go on from: it is to be fed and attached there.
    /// `None` while a body is under way or where descriptors were lost.
    pub fn snapshot(&self) -> Option<Snapshot<'_, F>> {
        let tags = self
            .tags
            .iter()
            .map(|tag| (tag.position - self.position, tag.fds.as_slice(), tag.exact));
        let tags: Vec<_> = tags.collect();
        let whole = !self.in_body() && tags.iter().all(|(_, fds, _)| !fds.is_empty());
        whole.then(|| Snapshot {
            bytes: self.buffer.as_slice(),
            tags,
            acknowledgements_due: self.acknowledgements_due,
        })
    }

    /// The peer closed. Drops what is left, and returns whether that cuts a message: the beginning of a frame, a record
    /// awaiting its frame, a body begun. Take acknowledgements and complete frames first.
    pub fn end_of_stream(&mut self) -> bool {
        let truncated = self.buffer.len() > 0 || self.body_filled() < self.body_len();
        self.consume(self.buffer.len());
        self.tags.clear();
        self.body = None;
        truncated
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
            return Err(self.refuse_record(records));
        }
        Ok(Front {
            records,
            header: Header::decode(&self.buffer.as_slice()[records..])?,
        })
    }

    /// How many sound handle records stand at the boundary: one byte and one tag each.
    fn records(&mut self) -> usize {
        let mut records = 0;
        while self.meaning(records) == Some(Meaning::Record) {
            self.count_record(self.position + records as u64);
            records += 1;
        }
        records
    }

    /// What the byte behind `records` records is, if it is tagged.
    fn meaning(&self, records: usize) -> Option<Meaning> {
        let tag = self.tags.on(records, self.position + records as u64)?;
        Some(tag.meaning(*self.buffer.as_slice().get(records)?))
    }

    fn count_record(&mut self, position: u64) {
        if position >= self.records_counted_to {
            self.records_arrived += 1;
            self.records_counted_to = position + 1;
        }
    }

    /// Consumes the record behind `records` others, and these too: a message comes with all of its descriptors or none.
    fn refuse_record(&mut self, records: usize) -> Error {
        let position = self.position + records as u64;
        self.count_record(position);
        let announced = self.buffer.as_slice()[records];
        let received = self.tags.on(records, position).map_or(0, |tag| tag.fds.len());
        self.consume(records + 1);
        self.claim();
        Error::DescriptorCount { announced, received }
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
