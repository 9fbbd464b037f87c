//! Handle records taken by themselves, and their acknowledgements.

use super::read::Wait;
use super::received::Received;
use super::state::Connection;
use crate::memory::{Memory, Offer, Region};
use crate::outcome::{Error, Outcome, Place, Result};
use crate::settings::SCRATCH;
use crate::shared::Shared;
use crate::transport::Transport;

impl<T: Transport, M: Memory> Connection<T, M> {
    /// Receives one byte at a boundary and its descriptors, of which there may be `max`.
    pub fn receive_record(&mut self, shared: &Shared<M>, max: usize, wait: Wait) -> Outcome<M, T::Fd> {
        let received = self.take_record(shared, max, wait).map(|fds| Received {
            place: Place::Nowhere,
            length: 0,
            fds,
        });
        self.received::<NoOffer<M>>(shared, received, None)
    }

    /// Takes one byte and its descriptors.
    fn take_record(&mut self, shared: &Shared<M>, max: usize, wait: Wait) -> Result<Vec<T::Fd>> {
        self.check()?;
        self.settle_acknowledgements();
        if self.decoder.in_body() {
            return Err(Error::Busy);
        }
        while self.decoder.buffered() == 0 {
            let limit = if self.settings.read_ahead { SCRATCH } else { 1 };
            self.fill(shared, limit, wait)?;
            self.settle_acknowledgements();
        }
        let Some((byte, fds)) = self.decoder.take_record() else {
            return Err(Error::Busy);
        };
        self.acknowledge_records();
        if self.decoder.descriptors_lost() {
            return Err(Error::DescriptorsTruncated);
        }
        let received = fds.len();
        if received == 0 || received > max || (byte != 0 && usize::from(byte) != received % 256) {
            return Err(Error::DescriptorCount { received });
        }
        Ok(fds)
    }

    /// Answers records that came in, where the peer waits for that.
    pub(super) fn acknowledge_records(&mut self) {
        let records = self.decoder.take_arrived_records();
        if self.settings.acknowledge {
            for _ in 0..records {
                self.outbox.push_bytes(b"A");
            }
        }
    }

    /// Lets go of sent descriptors that the peer has.
    pub(super) fn settle_acknowledgements(&mut self) {
        for _ in 0..self.decoder.take_acknowledgements() {
            self.held.pop_front();
        }
    }
}

/// Where nothing is offered.
struct NoOffer<M>(std::marker::PhantomData<M>);

impl<M: Memory> Memory for NoOffer<M> {
    fn region(&mut self) -> Option<Region<'_>> {
        None
    }
}

impl<M: Memory> Offer for NoOffer<M> {
    type Held = M;

    fn hold(&self) -> Option<M> {
        None
    }
}
