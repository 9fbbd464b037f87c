//! Handle records and acknowledgements: what stands between frames.

use super::Decoder;
use crate::error::Error;
use crate::tags::Meaning;

const ACKNOWLEDGEMENT: u8 = b'A';

impl<F> Decoder<F> {
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

    /// Consumes the record at the boundary that is not the number of its descriptors, and those before it: a message comes
    /// with all of its descriptors or none. They are dropped. Returns what [`peek`](Self::peek) says of it; `None`, and
    /// nothing is consumed, where no such record stands at the boundary.
    pub fn skip_refused(&mut self) -> Option<Error> {
        if self.in_body() {
            return None;
        }
        let records = self.records();
        if self.meaning(records) != Some(Meaning::Mismatch) {
            return None;
        }
        let error = self.mismatch(records);
        self.consume(records + 1);
        self.claim();
        Some(error)
    }

    /// How many sound handle records stand at the boundary: one byte and one tag each.
    pub(super) fn records(&mut self) -> usize {
        let mut records = 0;
        while self.meaning(records) == Some(Meaning::Record) {
            self.count_record(self.position + records as u64);
            records += 1;
        }
        records
    }

    /// What the byte behind `records` records is, if it is tagged.
    pub(super) fn meaning(&self, records: usize) -> Option<Meaning> {
        let tag = self.tags.on(records, self.position + records as u64)?;
        Some(tag.meaning(*self.buffer.as_slice().get(records)?))
    }

    fn count_record(&mut self, position: u64) {
        if position >= self.records_counted_to {
            self.records_arrived += 1;
            self.records_counted_to = position + 1;
        }
    }

    /// What is wrong with the record behind `records` others.
    pub(super) fn mismatch(&mut self, records: usize) -> Error {
        let position = self.position + records as u64;
        // Its sender may wait for an acknowledgement of this one, too.
        self.count_record(position);
        Error::DescriptorCount {
            announced: self.buffer.as_slice()[records],
            received: self.tags.on(records, position).map_or(0, |tag| tag.fds.len()),
        }
    }
}
