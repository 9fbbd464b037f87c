/// Bytes read and not yet taken. Taking from the front is O(1); an empty buffer holds no memory.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // Moving the rest only when it is the smaller part keeps the cost per byte constant.
        if self.start >= self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn push_front(&mut self, bytes: &[u8]) {
        if self.start >= bytes.len() {
            self.start -= bytes.len();
            self.bytes[self.start..][..bytes.len()].copy_from_slice(bytes);
        } else {
            self.bytes.splice(..self.start, bytes.iter().copied());
            self.start = 0;
        }
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        if self.len() == 0 {
            *self = Self::default();
        }
    }

    /// Gives back the memory of what was consumed: the rest may have to wait for long.
    pub(crate) fn trim(&mut self) {
        if self.start > 0 {
            *self = Self {
                bytes: self.as_slice().to_vec(),
                start: 0,
            };
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::Buffer;

    #[test]
    fn an_empty_buffer_holds_no_memory() {
        let mut buffer = Buffer::default();
        buffer.push(&[1; 1000]);
        buffer.consume(1000);
        assert_eq!(buffer.capacity(), 0);
    }

    #[test]
    fn a_trimmed_buffer_holds_its_bytes_alone() {
        let mut buffer = Buffer::default();
        buffer.push(&[1; 1000]);
        buffer.consume(998);
        buffer.trim();
        assert_eq!((buffer.as_slice(), buffer.capacity()), ([1, 1].as_slice(), 2));
    }

    #[test]
    fn a_stream_that_is_never_empty_does_not_grow() {
        let mut buffer = Buffer::default();
        buffer.push(&[0; 10]);
        for _ in 0..10_000 {
            buffer.push(&[1; 10]);
            buffer.consume(10);
        }
        assert!(buffer.capacity() <= 80);
        assert_eq!(buffer.as_slice(), [1; 10]);
    }
}
