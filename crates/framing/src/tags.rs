use std::collections::VecDeque;

/// Descriptors and the stream position of the byte they arrived with.
#[derive(Debug)]
pub(crate) struct Tag<F> {
    pub(crate) position: u64,
    /// Empty: the kernel had descriptors and could not deliver them.
    pub(crate) fds: Vec<F>,
    /// The read ended at this byte by itself.
    pub(crate) exact: bool,
}

/// What a tag makes of the byte it is on, when that byte stands at a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A handle record.
    Record,
    /// A handle record whose byte is not the number of its descriptors.
    Mismatch,
    /// The first byte of a header, with descriptors attached to the frame.
    Header,
}

impl<F> Tag<F> {
    pub(crate) fn meaning(&self, byte: u8) -> Meaning {
        let lost = self.fds.is_empty();
        let announced = byte == (self.fds.len() % 256) as u8;
        match (lost, self.exact) {
            // What was lost cannot be counted.
            (true, true) => Meaning::Record,
            // A header that begins with anything but 0 announces 16 MiB or more: the record is likelier.
            (true, false) if byte != 0 => Meaning::Record,
            (false, _) if announced => Meaning::Record,
            (false, true) if byte == 0 => Meaning::Record,
            (false, true) => Meaning::Mismatch,
            (_, false) => Meaning::Header,
        }
    }
}

/// The tags of a stream, in its order.
#[derive(Debug)]
pub(crate) struct Tags<F>(VecDeque<Tag<F>>);

impl<F> Tags<F> {
    pub(crate) fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, tag: Tag<F>) {
        assert!(
            self.0.back().is_none_or(|last| last.position < tag.position),
            "tags come in stream order"
        );
        self.0.push_back(tag);
    }

    /// The tag at `index`, if it is on the byte at `position`.
    pub(crate) fn on(&self, index: usize, position: u64) -> Option<&Tag<F>> {
        self.0.get(index).filter(|tag| tag.position == position)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tag<F>> {
        self.0.iter()
    }

    /// Moves the first `count` tags one byte on.
    pub(crate) fn shift(&mut self, count: usize) {
        self.0.iter_mut().take(count).for_each(|tag| tag.position += 1);
    }

    pub(crate) fn descriptors(&self) -> usize {
        self.0.iter().map(|tag| tag.fds.len().max(1)).sum()
    }

    /// Removes the tags before `position`: their descriptors, and whether some were lost.
    pub(crate) fn take_before(&mut self, position: u64) -> (Vec<F>, bool) {
        let mut all = Vec::new();
        let mut lost = false;
        while self.0.front().is_some_and(|tag| tag.position < position)
            && let Some(tag) = self.0.pop_front()
        {
            lost |= tag.fds.is_empty();
            if all.is_empty() {
                all = tag.fds;
            } else {
                all.extend(tag.fds);
            }
        }
        (all, lost)
    }

    pub(crate) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }
}
