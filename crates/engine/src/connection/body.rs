//! The large message under way: where its body goes, until it is whole. Nobody else knows.

use fdwire_ancillary::Errno;

use super::holding::{Body, Holding};
use super::read::Wait;
use super::received::{Received, take_memory};
use super::state::Connection;
use crate::memory::{Buffer, Memory, Offer, Region};
use crate::outcome::{Error, Place, Result};
use crate::settings::{HEADER_WINDOW, MAX_UNCLAIMED, UNPROVEN};
use crate::shared::Shared;
use crate::transport::{Kind, Transport};

impl<T: Transport, M: Memory> Connection<T, M> {
    /// Goes on with the large message under way.
    pub(super) fn receive_body<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        max_length: u64,
        wait: Wait,
        mut target: Option<O>,
        offer: &mut Option<O>,
    ) -> Result<Received<M, T::Fd>> {
        let body = self.body.take().map(|body| *body);
        let (holding, failure) = body.map_or((Holding::Nothing, None), |body| (body.holding, body.failure));
        let mut holding = match holding {
            Holding::Nothing => Holding::Nothing,
            Holding::Bytes(bytes) => Holding::Bytes(bytes),
            Holding::Own(memory) => Holding::Own(Buffer::Held(memory)),
            Holding::Target(memory) => Holding::Target(Buffer::Held(memory)),
            Holding::Lost => Holding::Lost,
        };
        // Whose memory it was does not wait for the message any more.
        if let Holding::Target(memory) = &mut holding
            && !same(memory.region(), target.as_mut().and_then(Memory::region))
            && let Holding::Target(memory) = std::mem::replace(&mut holding, Holding::Lost)
        {
            holding = match self.rescued(memory) {
                Holding::Bytes(bytes) => Holding::Bytes(bytes),
                _ => Holding::Lost,
            };
        }
        if let Some(error) = failure {
            self.keep_body(holding, error, wait);
            return Err(error);
        }
        let length = self.decoder.body_len();
        if let (Holding::Nothing, Some(mut target)) = (&holding, target)
            && self.decoder.body_filled() == 0
            && target.region().is_some_and(|region| region.len() as u64 >= length)
        {
            holding = Holding::Target(Buffer::Offered(target));
        }
        self.continue_body(shared, holding, max_length, wait, offer)
    }

    pub(super) fn continue_body<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        mut holding: Holding<Buffer<O>>,
        max_length: u64,
        wait: Wait,
        offer: &mut Option<O>,
    ) -> Result<Received<M, T::Fd>> {
        let length = self.decoder.body_len();
        let result = if length > max_length {
            Err(Error::MessageTooLarge { length })
        } else {
            loop {
                match self.read_body(shared, &mut holding, wait) {
                    Err(Error::NeedMemory { length }) => match take_memory(shared, length as usize, offer) {
                        Some(memory) => holding = self.moved(holding, memory),
                        None => break Err(Error::NeedMemory { length }),
                    },
                    result => break result,
                }
            }
        };
        if let Err(error) = result {
            self.keep_body(holding, error, wait);
            return Err(error);
        }
        self.large = true;
        let fds = self.decoder.finish();
        let fds = self.deliver(fds)?;
        let place = match holding {
            Holding::Own(memory) => {
                self.expected = if length <= UNPROVEN as u64 { length as usize } else { 0 };
                memory.into()
            }
            Holding::Target(_) => Place::Target,
            _ => return Err(Error::MemoryGone),
        };
        Ok(Received { place, length, fds })
    }

    /// Moves what is here to memory with more room.
    fn moved<O: Offer<Held = M>>(&self, mut before: Holding<Buffer<O>>, mut memory: Buffer<O>) -> Holding<Buffer<O>> {
        let filled = self.decoder.body_filled() as usize;
        match (before.region(), memory.region()) {
            (Some(from), Some(to)) if from.len() >= filled => from.first(filled).copy_to(to),
            _ if filled == 0 => {}
            _ => return Holding::Lost,
        }
        Holding::Own(memory)
    }

    /// Keeps what is here of the message for the receive that comes next. A caller's memory is kept only while he waits.
    fn keep_body<O: Offer<Held = M>>(&mut self, holding: Holding<Buffer<O>>, error: Error, wait: Wait) {
        if !self.decoder.in_body() {
            return;
        }
        let waits = error == Error::WouldBlock && matches!(wait, Wait::Reported);
        let holding = match holding {
            Holding::Nothing => return,
            Holding::Bytes(bytes) => Holding::Bytes(bytes),
            Holding::Lost => Holding::Lost,
            Holding::Target(memory) if !waits => self.rescued(memory),
            Holding::Target(memory) => self.held(memory, Holding::Target),
            Holding::Own(memory) => self.held(memory, Holding::Own),
        };
        self.body = Some(Box::new(Body { holding, failure: None }));
    }

    fn held<O: Offer<Held = M>>(&self, memory: Buffer<O>, holding: impl FnOnce(M) -> Holding<M>) -> Holding<M> {
        match memory {
            Buffer::Held(memory) => holding(memory),
            // Where holding it fails, what is here is copied.
            Buffer::Offered(offer) => match offer.hold() {
                Some(memory) => holding(memory),
                None => self.rescued(offer),
            },
        }
    }

    /// A copy of what is here.
    fn rescued(&self, mut memory: impl Memory) -> Holding<M> {
        let filled = self.decoder.body_filled() as usize;
        match memory.region() {
            Some(region) if region.len() >= filled => Holding::Bytes(region.first(filled).to_vec()),
            _ => Holding::Lost,
        }
    }

    /// The receive that waits gives up: a caller has his memory back, and what is here is kept.
    pub fn leave(&mut self) {
        if let Some(body) = &mut self.body
            && matches!(body.holding, Holding::Target(_))
            && let Holding::Target(memory) = std::mem::replace(&mut body.holding, Holding::Lost)
        {
            let failure = body.failure;
            let holding = self.rescued(memory);
            self.body = Some(Box::new(Body { holding, failure }));
        }
    }

    /// Reads on in a body while nobody asks; false where somebody has something to hear.
    pub(super) fn reads_on(&mut self, shared: &Shared<M>) -> bool {
        let Some(mut body) = self.body.take() else { return false };
        let result = match body.failure {
            None => self.read_body(shared, &mut body.holding, Wait::Reported),
            Some(_) => Ok(()),
        };
        if let Err(error) = result
            && !matches!(error, Error::WouldBlock | Error::NeedMemory { .. })
        {
            body.failure = Some(error);
        }
        if self.decoder.in_body() {
            self.body = Some(body);
        } else {
            // It ended inside: there is nothing to go on with.
            self.found = body.failure;
        }
        result == Err(Error::WouldBlock)
    }

    /// Reads on in the body until it is whole.
    fn read_body<B: Memory>(&mut self, shared: &Shared<M>, holding: &mut Holding<B>, wait: Wait) -> Result<()> {
        let length = self.decoder.body_len();
        loop {
            let filled = self.decoder.body_filled();
            if let Some(length) = holding.wanted(length, filled) {
                return Err(Error::NeedMemory { length });
            }
            if filled == length {
                return Ok(());
            }
            let mut scratch = shared.scratch.borrow_mut();
            let (beyond, dropped) = scratch.split_at_mut(HEADER_WINDOW);
            let is_lost = matches!(holding, Holding::Lost);
            let left = length - filled;
            let room = if is_lost {
                Some(Region::of(dropped).first(usize::try_from(left).unwrap_or(usize::MAX)))
            } else {
                let start = filled as usize;
                holding.region().and_then(|region| {
                    let end = region.len().min(usize::try_from(length).unwrap_or(usize::MAX));
                    region.get(start..end).filter(|room| !room.is_empty())
                })
            };
            let Some(room) = room else {
                drop(scratch);
                *holding = Holding::Lost;
                continue;
            };
            if self.decoder.buffered() > 0 {
                self.decoder.fill_with(room.len(), |bytes| room.write(bytes));
                continue;
            }
            if self.ended {
                self.decoder.end_of_stream();
                return Err(Error::MessageTruncated);
            }
            if self.decoder.unclaimed() >= MAX_UNCLAIMED {
                return Err(self.refuse());
            }
            self.may_read(shared, wait)?;
            // The next header comes along, and a read that ends before its window says that there is nothing more.
            let reaches_end = self.settings.read_ahead && room.len() as u64 == left;
            let beyond = if reaches_end { beyond } else { &mut [] };
            let end = self.decoder.end();
            let room_len = room.len();
            match self.read(shared, &[room, Region::of(beyond)], end) {
                Ok(bytes) => {
                    let body = bytes.min(room_len);
                    self.decoder.filled_directly(body);
                    self.decoder.feed(&beyond[..bytes - body]);
                }
                // Nothing was taken: the memory was unmapped, or cannot be written.
                Err(error) if error.is(Errno::EFAULT) && !is_lost => {
                    drop(scratch);
                    *holding = Holding::Lost;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether nothing can be read without being asked.
    pub fn is_carried(&self) -> bool {
        self.transport.kind() == Kind::Carried
    }
}

/// Whether a message that is read into one place is in the other.
fn same(one: Option<Region<'_>>, other: Option<Region<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.as_ptr() == other.as_ptr() && one.len() == other.len(),
        // What is gone is noticed where it is written to.
        (None, _) => true,
        (Some(_), None) => false,
    }
}
