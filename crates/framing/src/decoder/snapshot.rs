//! What is read ahead, handed from one decoder to another.

use super::Decoder;
use crate::error::Error;

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

impl<F> Decoder<F> {
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

    /// Goes on from what another decoder's [`snapshot`](Self::snapshot) had, as told by somebody who may lie: bytes, their
    /// tags (offset, descriptors, whether a read ended there) and how many acknowledgements are due.
    ///
    /// # Errors
    ///
    /// [`Error::MisplacedDescriptors`] where the tags are out of order or beyond the bytes. Then nothing is taken, and the
    /// descriptors are dropped.
    pub fn restore(
        &mut self,
        bytes: &[u8],
        tags: Vec<(u64, Vec<F>, bool)>,
        acknowledgements_due: usize,
    ) -> Result<(), Error> {
        let mut next = 0;
        for &(offset, ..) in &tags {
            if offset < next || offset >= bytes.len() as u64 {
                return Err(Error::MisplacedDescriptors(offset));
            }
            next = offset + 1;
        }
        let start = self.end();
        self.feed(bytes);
        for (offset, fds, exact) in tags {
            self.attach(start + offset, fds, exact);
        }
        self.acknowledgements_due = self.acknowledgements_due.saturating_add(acknowledgements_due);
        Ok(())
    }
}
