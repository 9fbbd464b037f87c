//! Large bodies, which are taken in pieces.

use super::{Body, Decoder};

impl<F> Decoder<F> {
    /// A body was begun and is not finished.
    pub fn in_body(&self) -> bool {
        self.body.is_some()
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
}
