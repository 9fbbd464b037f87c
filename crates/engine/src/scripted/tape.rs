//! The tape that says what happens.

/// Lengths around the borders: what is small, what is large, what the shared buffer and the first memory hold.
pub(super) const LENGTHS: [usize; 9] = [0, 1, 100, 5000, 16_384, 16_385, 20_000, 70_000, 1_100_000];
/// What befalls a connection.
pub(super) struct Tape<'a>(pub(super) &'a [u8]);

impl Tape<'_> {
    pub(super) fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.next() % limit
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes that are nowhere alike.
pub(super) fn body(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index * 31 + index / 251 + seed) as u8)
        .collect()
}
