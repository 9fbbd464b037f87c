//! Receiving: on demand, through the shared read buffer.

use fdwire_framing::{self as framing, Header};

use super::holding::Holding;
use super::read::Wait;
use super::received::{Received, take_memory};
use super::state::Connection;
use crate::memory::{Memory, Offer, Region};
use crate::outcome::{Error, Outcome, Place, Result};
use crate::settings::{HEADER_WINDOW, LARGE};
use crate::shared::Shared;
use crate::transport::{Kind, Transport};

/// Where small messages are put, each at the next multiple of eight, and their lengths.
#[derive(Debug)]
pub struct Slots<'a> {
    /// The messages. Nobody else has this memory meanwhile: in it a copy costs half of what it does in a region.
    pub memory: &'a mut [u8],
    /// One word each.
    pub lengths: &'a mut [u32],
}

/// What stands next.
enum Next {
    /// A message of this length, all of it in the decoder.
    Whole(u64),
    /// The header of a large message.
    Large,
}

impl<T: Transport, M: Memory> Connection<T, M> {
    /// Receives into `slots`: at least one message, and then those without descriptors that are here and fit, as many as
    /// there are lengths for; or one message that does not fit them, or is large, into memory that was offered.
    pub fn receive<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        slots: Slots<'_>,
        max_length: u64,
        wait: Wait,
        mut offer: Option<O>,
    ) -> Outcome<M, T::Fd> {
        let received = self.receive_any(shared, slots, max_length, wait, &mut offer);
        self.received(shared, received, offer)
    }

    /// Receives one message into `target`, where it fits, or into memory that was offered.
    pub fn receive_into<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        target: O,
        wait: Wait,
        mut offer: Option<O>,
    ) -> Outcome<M, T::Fd> {
        let received = self.receive_one(shared, target, wait, &mut offer);
        self.received(shared, received, offer)
    }

    pub(super) fn received<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        received: Result<Received<M, T::Fd>>,
        offer: Option<O>,
    ) -> Outcome<M, T::Fd> {
        if let Some(offer) = offer {
            // Who comes next needs as much, mostly.
            shared.keep_spare(offer.hold());
        }
        if self.settings.acknowledge && !self.interest.writing() && !self.outbox.is_empty() {
            self.flush_queued(shared);
        }
        match received {
            Ok(Received { place, length, fds }) => {
                let count = match place {
                    Place::Slots(count) => count as i32,
                    _ => 1,
                };
                Outcome {
                    place,
                    length,
                    descriptors: fds,
                    ..self.outcome(Ok(count))
                }
            }
            Err(error) => self.outcome(Err(error)),
        }
    }

    /// What is wrong already, before anything is asked.
    pub(super) fn check(&mut self) -> Result<()> {
        if self.refused {
            return Err(Error::ProtocolError);
        }
        self.found.take().map_or(Ok(()), Err)
    }

    fn receive_any<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        mut slots: Slots<'_>,
        max_length: u64,
        wait: Wait,
        offer: &mut Option<O>,
    ) -> Result<Received<M, T::Fd>> {
        self.check()?;
        if self.decoder.in_body() {
            return self.receive_body(shared, max_length, wait, None, offer);
        }
        let limit = max_length.min(self.settings.max_message_size);
        if self.decoder.is_clear() && self.settings.read_ahead && !self.ended {
            let expected = self.expected;
            if expected == 0 || expected as u64 > limit || self.transport.kind() == Kind::File {
                let count = self.receive_passing(shared, &mut slots, limit, wait)?;
                if count > 0 {
                    return Ok(Received {
                        place: Place::Slots(count),
                        length: u64::from(slots.lengths[0]),
                        fds: Vec::new(),
                    });
                }
            } else if let Some(received) = self.receive_expected(shared, expected, max_length, wait, offer)? {
                return Ok(received);
            }
        }
        match self.next(shared, limit, wait)? {
            Next::Large => {
                self.decoder.begin_body();
                self.receive_body(shared, max_length, wait, None, offer)
            }
            Next::Whole(length) => {
                self.expected = 0;
                if length as usize <= slots.memory.len() && !slots.lengths.is_empty() {
                    self.take_whole(&mut slots, limit)
                } else {
                    self.take_into_offer(shared, length, offer)
                }
            }
        }
    }

    fn receive_one<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        mut target: O,
        wait: Wait,
        offer: &mut Option<O>,
    ) -> Result<Received<M, T::Fd>> {
        self.check()?;
        if self.decoder.in_body() {
            return self.receive_body(shared, u64::MAX, wait, Some(target), offer);
        }
        match self.next(shared, self.settings.max_message_size, wait)? {
            Next::Large => {
                self.decoder.begin_body();
                self.receive_body(shared, u64::MAX, wait, Some(target), offer)
            }
            Next::Whole(length) => match target.region() {
                Some(region) if length as usize <= region.len() => {
                    let fds = self.decoder.take_with(|body| region.write(body));
                    Ok(Received {
                        place: Place::Target,
                        length,
                        fds: self.deliver(fds)?,
                    })
                }
                _ => self.take_into_offer(shared, length, offer),
            },
        }
    }

    /// Takes the complete messages at the boundary, as far as they fit.
    fn take_whole(&mut self, slots: &mut Slots<'_>, limit: u64) -> Result<Received<M, T::Fd>> {
        let mut count = 0;
        let mut start = 0;
        let mut first = Vec::new();
        while let Some(word) = slots.lengths.get_mut(count) {
            let frame = match self.decoder.peek() {
                Ok(Some(frame)) => frame,
                // A refusal is told by the receive that comes to it.
                Ok(None) | Err(_) => break,
            };
            if !frame.complete || frame.body_len > limit || (count > 0 && self.decoder.unclaimed() > 0) {
                break;
            }
            let end = start + frame.body_len as usize;
            let Some(room) = slots.memory.get_mut(start..end) else {
                break;
            };
            let fds = self.decoder.take_with(|body| room.copy_from_slice(body));
            *word = frame.body_len as u32;
            count += 1;
            start = end.next_multiple_of(8);
            if count == 1 {
                first = self.deliver(fds)?;
            }
        }
        Ok(Received {
            place: Place::Slots(count),
            length: u64::from(slots.lengths[0]),
            fds: first,
        })
    }

    /// Takes the complete message at the boundary into memory of its length.
    fn take_into_offer<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        length: u64,
        offer: &mut Option<O>,
    ) -> Result<Received<M, T::Fd>> {
        let mut buffer = take_memory(shared, length as usize, offer).ok_or(Error::NeedMemory { length })?;
        let region = buffer.region().ok_or(Error::NeedMemory { length })?;
        let fds = self.decoder.take_with(|body| region.write(body));
        Ok(Received {
            place: buffer.into(),
            length,
            fds: self.deliver(fds)?,
        })
    }

    /// What the next message is. Reads until that is known, and a small one here.
    fn next(&mut self, shared: &Shared<M>, limit: u64, wait: Wait) -> Result<Next> {
        loop {
            self.settle_acknowledgements();
            let next = self.decoder.peek();
            self.acknowledge_records();
            match next {
                Ok(Some(frame)) => {
                    let length = frame.body_len;
                    if length > limit {
                        return Err(Error::MessageTooLarge { length });
                    }
                    if frame.complete {
                        self.large = length > LARGE;
                        return Ok(Next::Whole(length));
                    }
                    if length > LARGE {
                        return Ok(Next::Large);
                    }
                }
                Ok(None) => {}
                Err(framing::Error::DescriptorCount { received, .. }) => {
                    self.decoder.skip_refused();
                    return Err(Error::DescriptorCount { received });
                }
                Err(_) => return Err(Error::ProtocolError),
            }
            let window = self.window();
            self.fill(shared, window, wait)?;
        }
    }

    /// Reads, and takes what messages that brings straight from the read buffer; the rest goes to the decoder. Returns how
    /// many: none where there are descriptors, or the first message is incomplete, or does not fit.
    fn receive_passing(&mut self, shared: &Shared<M>, slots: &mut Slots<'_>, limit: u64, wait: Wait) -> Result<usize> {
        self.may_read(shared, wait)?;
        let mut scratch = shared.scratch.borrow_mut();
        let window = scratch.len().min(self.window());
        let end = self.decoder.end();
        let bytes = self.read(shared, &[Region::of(&mut scratch[..window])], end)?;
        let mut rest = &scratch[..bytes];
        let mut count = 0;
        if self.decoder.is_clear() {
            let Slots { memory, lengths } = slots;
            let mut start = 0;
            let passed = self.decoder.pass(rest, |body| {
                let (Some(word), Some(room)) = (lengths.get_mut(count), memory.get_mut(start..start + body.len()))
                else {
                    return false;
                };
                if body.len() as u64 > limit {
                    return false;
                }
                room.copy_from_slice(body);
                *word = body.len() as u32;
                count += 1;
                start = (start + body.len()).next_multiple_of(8);
                true
            });
            rest = &rest[passed..];
        }
        self.decoder.feed(rest);
        if count > 0 {
            self.large = false;
        }
        Ok(count)
    }

    /// Reads header and body of a message at once, which is expected to be of this length. Where it is something else, the
    /// decoder has it.
    fn receive_expected<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        expected: usize,
        max_length: u64,
        wait: Wait,
        offer: &mut Option<O>,
    ) -> Result<Option<Received<M, T::Fd>>> {
        self.may_read(shared, wait)?;
        let length = expected as u64;
        let mut memory = take_memory(shared, expected, offer).ok_or(Error::NeedMemory { length })?;
        let header = Header::encode(length);
        let header = header.as_bytes();
        let end = self.decoder.end();
        let mut scratch = shared.scratch.borrow_mut();
        let (first, beyond) = scratch[..header.len() + HEADER_WINDOW].split_at_mut(header.len());
        let region = memory.region().ok_or(Error::NeedMemory { length })?;
        let read = self.read(shared, &[Region::of(first), region, Region::of(beyond)], end);
        let bytes = *read.as_ref().unwrap_or(&0);
        let body = bytes.saturating_sub(header.len()).min(expected);
        let left = bytes.saturating_sub(header.len() + body);
        self.decoder.feed(&first[..bytes.min(header.len())]);
        // Descriptors may be a record's, whose byte stands where a header would.
        let is_expected = body > 0 && *first == *header && self.decoder.unclaimed() == 0;
        if !is_expected {
            self.decoder.feed(&region.first(body).to_vec());
            self.decoder.feed(&beyond[..left]);
            shared.keep_spare(memory.hold());
            return read.map(|_| None);
        }
        self.decoder.begin_body();
        self.decoder.filled_directly(body);
        self.decoder.feed(&beyond[..left]);
        drop(scratch);
        self.continue_body(shared, Holding::Own(memory), max_length, wait, offer)
            .map(Some)
    }
}
