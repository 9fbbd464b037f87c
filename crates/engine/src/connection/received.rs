//! A message that was received: where it is, and its descriptors.

use super::state::Connection;
use crate::memory::{Buffer, Memory, Offer};
use crate::outcome::{Error, Place, Result};
use crate::settings::MAX_UNCLAIMED;
use crate::shared::Shared;
use crate::transport::Transport;

/// A message that was received.
pub(super) struct Received<M, F> {
    pub(super) place: Place<M>,
    pub(super) length: u64,
    pub(super) fds: Vec<F>,
}

impl<T: Transport, M: Memory> Connection<T, M> {
    /// The descriptors of the message just taken, where none was lost, and they are not too many.
    pub(super) fn deliver(&mut self, fds: Vec<T::Fd>) -> Result<Vec<T::Fd>> {
        if fds.len() > MAX_UNCLAIMED {
            return Err(self.refuse());
        }
        if self.decoder.descriptors_lost() {
            return Err(Error::DescriptorsTruncated);
        }
        Ok(fds)
    }
}

/// Memory of this length: what was kept, or what is offered.
pub(super) fn take_memory<M: Memory, O: Offer<Held = M>>(
    shared: &Shared<M>,
    length: usize,
    offer: &mut Option<O>,
) -> Option<Buffer<O>> {
    if offer
        .as_mut()
        .and_then(Memory::region)
        .is_some_and(|region| region.len() == length)
    {
        return offer.take().map(Buffer::Offered);
    }
    shared.take_spare(length).map(Buffer::Held)
}

impl<O: Offer> From<Buffer<O>> for Place<O::Held> {
    fn from(buffer: Buffer<O>) -> Place<O::Held> {
        match buffer {
            Buffer::Offered(_) => Place::Offered,
            Buffer::Held(memory) => Place::Kept(memory),
        }
    }
}
