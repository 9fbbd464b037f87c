//! Reading: on demand, through the shared buffer. Large bodies are read in [`crate::body`].

use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::time::Instant;

use fdwire_ancillary::{self as ancillary, ARRIVAL, Arrival, Readiness, Received};
use fdwire_framing::{Error, Header};
use napi::bindgen_prelude::{JsValue, Uint8ArraySlice, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use crate::codes::{
    DESCRIPTOR_COUNT, DESCRIPTORS_TRUNCATED, END_OF_STREAM, LARGE_BODY, MAX_UNCLAIMED, MESSAGE_TOO_LARGE,
    MESSAGE_TRUNCATED, NO_ROOM, PROTOCOL_ERROR, SPARE_FILLED, TIMED_OUT, WOULD_BLOCK, duration,
};
use crate::connection::{Connection, Transport, with_connection};
use crate::environment::{self, Shared};
use crate::napi::held_array::HeldArray;
use crate::napi::realm::{Realm, Slab};

/// Bodies above this are read straight into their destination.
const LARGE: u64 = 16 * 1024;
/// How much is read for the header that follows a large body.
pub(crate) const HEADER_WINDOW: usize = 1024;

/// What a receive does where there is nothing to read.
#[derive(Clone, Copy)]
pub(crate) enum Wait {
    /// It ends, and the source is reported when there is something.
    Reported,
    /// It blocks until then; for ever without a deadline.
    Until(Option<Instant>),
}

/// The code with which a receive ends, where it has no result.
pub(crate) type Code = i32;

/// Where messages are put.
struct Room<'a> {
    target: &'a mut [u8],
    /// Theirs, one each.
    lengths: &'a mut [u32],
    spare: &'a mut [u8],
}

impl Connection {
    /// Reads once, for the caller to hand on; of a pipe only into the first buffer. `end` is the stream position where that
    /// begins. Nothing to read is 0 bytes, and no longer [`Connection::readable`].
    pub(crate) fn read(
        &mut self,
        shared: &Shared,
        buffers: &mut [IoSliceMut<'_>],
        end: u64,
    ) -> std::result::Result<usize, Code> {
        let buffers = if self.transport == Transport::File {
            &mut buffers[..1]
        } else {
            buffers
        };
        let window = buffers.iter().map(|buffer| buffer.len()).sum::<usize>();
        let fd = self.fd().map_err(|error| shared.fail(&error))?;
        let result = if self.transport == Transport::File {
            ancillary::read(fd, &mut buffers[0], false).map(|bytes| Received {
                bytes,
                fds: Vec::new(),
                truncated: false,
                control: false,
            })
        } else {
            ancillary::receive(fd, buffers, &mut shared.control.borrow_mut(), false)
        };
        let received = match result {
            Ok(received) => received,
            Err(error) if error.would_block() => {
                self.readable = false;
                shared.expected.set(None);
                return Ok(0);
            }
            Err(error) => return Err(shared.fail(&error)),
        };
        if received.bytes == 0 {
            self.ended = true;
            return Ok(0);
        }
        let bytes = received.bytes;
        // A read that ended at descriptors, or before the peer's end, may have left something behind.
        if bytes < window && !received.control && !self.hung_up {
            self.readable = false;
        }
        if received.truncated || !received.fds.is_empty() {
            let position = match ARRIVAL {
                Arrival::LastByte => end + (bytes as u64).saturating_sub(1),
                Arrival::FirstByte => end,
            };
            let exact = bytes < window;
            if received.truncated {
                self.decoder.attach_lost(position, exact);
            } else {
                self.decoder.attach(position, received.fds, exact);
            }
        }
        self.budget.spend(shared.turn.get(), bytes);
        Ok(bytes)
    }

    /// Whether this turn's share is used up, or there is nothing to read: the code to wait with. With a deadline it waits
    /// here.
    pub(crate) fn may_read(&mut self, shared: &Shared, wait: Wait) -> std::result::Result<(), Code> {
        if self.transport == Transport::Stream {
            return Err(WOULD_BLOCK);
        }
        if let Wait::Until(deadline) = wait {
            return if self.readable {
                Ok(())
            } else {
                self.block(shared, deadline)
            };
        }
        if !self.readable {
            self.await_read(shared)?;
            return Err(WOULD_BLOCK);
        }
        if self.budget.exhausted(shared.turn.get()) {
            self.await_turn(shared, false);
            return Err(WOULD_BLOCK);
        }
        Ok(())
    }

    /// Blocks until there is something to read.
    fn block(&mut self, shared: &Shared, deadline: Option<Instant>) -> std::result::Result<(), Code> {
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let ready = self
            .fd()
            .and_then(|fd| ancillary::poll(fd, Readiness::READABLE, timeout));
        self.readable = ready.map_err(|error| shared.fail(&error))?.readable;
        if self.readable { Ok(()) } else { Err(TIMED_OUT) }
    }

    /// Reads something into the decoder, at most `limit` bytes.
    fn fill(&mut self, shared: &Shared, limit: usize, wait: Wait) -> std::result::Result<(), Code> {
        if self.ended {
            let truncated = self.decoder.end_of_stream();
            return Err(if truncated { MESSAGE_TRUNCATED } else { END_OF_STREAM });
        }
        if self.decoder.unclaimed() >= MAX_UNCLAIMED as usize {
            return Err(PROTOCOL_ERROR);
        }
        self.may_read(shared, wait)?;
        let mut scratch = shared.scratch.borrow_mut();
        let window = scratch.len().min(limit);
        let end = self.decoder.end();
        let bytes = self.read(shared, &mut [IoSliceMut::new(&mut scratch[..window])], end)?;
        self.decoder.feed(&scratch[..bytes]);
        Ok(())
    }

    /// How much one read may take.
    fn window(&mut self) -> usize {
        if !self.read_ahead {
            return self
                .decoder
                .missing()
                .map_or(1, |missing| missing.try_into().unwrap_or(usize::MAX));
        }
        if self.large { HEADER_WINDOW } else { usize::MAX }
    }

    /// Whether the next message is here, or large. Reads until it is.
    fn next(&mut self, shared: &Shared, realm: &Realm, max_length: u64, wait: Wait) -> std::result::Result<(), Code> {
        loop {
            self.settle_acknowledgements();
            let next = self.decoder.peek();
            self.acknowledge_records();
            match next {
                Ok(Some(frame)) => {
                    realm.report_length(frame.body_len);
                    if frame.body_len > max_length.min(self.max_message_size) {
                        return Err(MESSAGE_TOO_LARGE);
                    }
                    if frame.complete {
                        self.large = frame.body_len > LARGE;
                        return Ok(());
                    }
                    if frame.body_len > LARGE {
                        return Err(LARGE_BODY);
                    }
                }
                Ok(None) => {}
                Err(Error::DescriptorCount { received, .. }) => {
                    realm.report_length(received as u64);
                    return Err(DESCRIPTOR_COUNT);
                }
                Err(_) => return Err(PROTOCOL_ERROR),
            }
            let window = self.window();
            self.fill(shared, window, wait)?;
        }
    }

    /// Reads, and takes what messages that brings straight from the read buffer; the rest goes to the decoder. Returns how
    /// many: none where there are descriptors, or the first message is incomplete, or does not fit.
    fn receive_read(
        &mut self,
        shared: &Shared,
        realm: &Realm,
        target: &mut [u8],
        lengths: &mut [u32],
        limit: u64,
        wait: Wait,
    ) -> std::result::Result<usize, Code> {
        self.may_read(shared, wait)?;
        let mut scratch = shared.scratch.borrow_mut();
        let window = scratch.len().min(self.window());
        let end = self.decoder.end();
        let bytes = self.read(shared, &mut [IoSliceMut::new(&mut scratch[..window])], end)?;
        let mut rest = &scratch[..bytes];
        let mut count = 0;
        if self.decoder.is_clear() {
            let mut start = 0;
            let passed = self.decoder.pass(rest, |body| {
                let (Some(word), Some(room)) = (lengths.get_mut(count), target.get_mut(start..start + body.len()))
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
            realm.report_length(u64::from(lengths[0]));
            realm.report_descriptors(std::iter::empty());
        }
        Ok(count)
    }

    /// Reads header and body of a message at once, which is expected to be as long as `spare`. Where it is something else,
    /// the decoder has it.
    fn receive_expected(
        &mut self,
        shared: &Shared,
        realm: &Realm,
        spare: &mut [u8],
        wait: Wait,
    ) -> std::result::Result<(), Code> {
        self.may_read(shared, wait)?;
        let length = spare.len();
        let expected = Header::encode(length as u64);
        let expected = expected.as_bytes();
        let mut scratch = shared.scratch.borrow_mut();
        let (header, beyond) = scratch[..expected.len() + HEADER_WINDOW].split_at_mut(expected.len());
        let end = self.decoder.end();
        let mut buffers = [header, spare, beyond].map(IoSliceMut::new);
        let bytes = self.read(shared, &mut buffers, end)?;
        let [header, spare, beyond] = buffers;
        let body = bytes.saturating_sub(header.len()).min(length);
        let left = bytes.saturating_sub(header.len() + body);
        self.decoder.feed(&header[..bytes.min(header.len())]);
        // Descriptors may be a record's, whose byte stands where a header would.
        let is_expected = body > 0 && *header == *expected && self.decoder.unclaimed() == 0;
        if is_expected {
            self.decoder.begin_body();
            self.decoder.filled_directly(body);
        } else {
            self.decoder.feed(&spare[..body]);
        }
        self.decoder.feed(&beyond[..left]);
        if !is_expected {
            return Ok(());
        }
        realm.report_length(length as u64);
        if body < length {
            return Err(LARGE_BODY);
        }
        let fds = self.decoder.finish();
        self.deliver(shared, realm, fds)?;
        Err(SPARE_FILLED)
    }

    /// Takes messages into `target`, each at the next multiple of eight: at least one, and then those without descriptors
    /// that are here and fit, as many as `lengths` has room for. Returns how many. One that is as long as `spare` may be
    /// read into that.
    fn receive(
        &mut self,
        shared: &Shared,
        realm: &Realm,
        Room { target, lengths, spare }: Room<'_>,
        max_length: u64,
        wait: Wait,
    ) -> std::result::Result<usize, Code> {
        if self.decoder.in_body() {
            let length = self.decoder.body_len();
            realm.report_length(length);
            return Err(if length > max_length {
                MESSAGE_TOO_LARGE
            } else {
                LARGE_BODY
            });
        }
        let limit = max_length.min(self.max_message_size);
        let mut count = 0;
        if self.decoder.is_clear() && self.read_ahead && !self.ended {
            if spare.is_empty() || spare.len() as u64 > limit || self.transport == Transport::File {
                count = self.receive_read(shared, realm, target, lengths, limit, wait)?;
            } else {
                self.receive_expected(shared, realm, spare, wait)?;
            }
            if count > 0 {
                return Ok(count);
            }
        }
        self.next(shared, realm, max_length, wait)?;
        let mut start = 0;
        while let (Some(word), Ok(Some(frame))) = (lengths.get_mut(count), self.decoder.peek()) {
            if !frame.complete || frame.body_len > limit || (count > 0 && self.decoder.unclaimed() > 0) {
                break;
            }
            let end = start + frame.body_len as usize;
            let Some(room) = target.get_mut(start..end) else { break };
            let fds = self.decoder.take(room);
            *word = frame.body_len as u32;
            count += 1;
            start = end.next_multiple_of(8);
            if count == 1 {
                self.deliver(shared, realm, fds)?;
            }
        }
        if count == 0 { Err(NO_ROOM) } else { Ok(count) }
    }

    /// One byte at a boundary and its descriptors, of which there may be `max`.
    fn receive_record(
        &mut self,
        shared: &Shared,
        realm: &Realm,
        max: usize,
        wait: Wait,
    ) -> std::result::Result<(), Code> {
        self.settle_acknowledgements();
        while self.decoder.buffered() == 0 {
            let limit = if self.read_ahead { usize::MAX } else { 1 };
            self.fill(shared, limit, wait)?;
            self.settle_acknowledgements();
        }
        let Some((byte, fds)) = self.decoder.take_record() else {
            return Err(PROTOCOL_ERROR);
        };
        self.acknowledge_records();
        let count = fds.len();
        realm.report_length(count as u64);
        if self.decoder.descriptors_lost() {
            return Err(DESCRIPTORS_TRUNCATED);
        }
        if count == 0 || count > max || (byte != 0 && usize::from(byte) != count % 256) {
            return Err(DESCRIPTOR_COUNT);
        }
        self.deliver(shared, realm, fds)
    }

    /// Leaves a message's descriptors with JavaScript.
    pub(crate) fn deliver(&self, shared: &Shared, realm: &Realm, fds: Vec<OwnedFd>) -> std::result::Result<(), Code> {
        if self.decoder.descriptors_lost() {
            return Err(DESCRIPTORS_TRUNCATED);
        }
        realm.report_descriptors(fds.into_iter().map(|fd| shared.hand_out(fd)));
        Ok(())
    }

    /// Answers records that came in, where the peer waits for that.
    fn acknowledge_records(&mut self) {
        let records = self.decoder.take_arrived_records();
        if self.acknowledge {
            for _ in 0..records {
                self.outbox.push_bytes(b"A");
            }
        }
    }

    /// Lets go of sent descriptors that the peer has.
    pub(crate) fn settle_acknowledgements(&mut self) {
        for _ in 0..self.decoder.take_acknowledgements() {
            self.held.pop_front();
        }
    }
}

/// Runs a receive and sends the acknowledgements it gave rise to.
pub(crate) fn run(
    id: u32,
    timeout: f64,
    receive: impl FnOnce(&Shared, &Realm, &mut Connection, Wait) -> std::result::Result<(), Code>,
) -> Result<i32> {
    with_connection(id, |shared, realm, connection| {
        let wait = if timeout < 0.0 {
            Wait::Reported
        } else {
            Wait::Until(duration(timeout).and_then(|timeout| Instant::now().checked_add(timeout)))
        };
        let result = receive(shared, realm, connection, wait);
        if connection.acknowledge && !connection.awaiting_write && !connection.outbox.is_empty() {
            connection.flush(shared);
        }
        result.err().unwrap_or(0)
    })
}

pub(crate) fn receive(id: u32, offset: usize, max_length: f64, timeout: f64, spare: &mut [u8]) -> Result<i32> {
    let mut count = 0;
    let code = run(id, timeout, |shared, realm, connection, wait| {
        let mut slab = realm.slab.borrow_mut();
        let Some(Slab { memory, lengths }) = slab.as_mut() else {
            return Err(NO_ROOM);
        };
        // SAFETY: only this thread uses the memory, JavaScript does not run meanwhile, and no other slice of it exists.
        let (memory, lengths) = unsafe { (&mut *memory.memory(), &mut *lengths.memory()) };
        let target = memory.get_mut(offset..).unwrap_or_default();
        let room = Room { target, lengths, spare };
        count = connection.receive(shared, realm, room, max_length as u64, wait)?;
        Ok(())
    })?;
    Ok(if code == 0 { count as i32 } else { code })
}

/// Where `receive` puts small messages from now on, and their lengths.
#[napi]
pub fn register_slab(
    env: Env,
    realm: u32,
    #[napi(ts_arg_type = "Uint8Array")] memory: Unknown<'_>,
    #[napi(ts_arg_type = "Uint32Array")] lengths: Unknown<'_>,
) -> Result<()> {
    environment::with(|environment| {
        let realm = environment.realm(realm)?;
        // SAFETY: values of the call that is running.
        let (memory, lengths) = unsafe {
            (
                HeldArray::new(env.raw(), memory.raw())?,
                HeldArray::new(env.raw(), lengths.raw())?,
            )
        };
        realm.slab.replace(Some(Slab { memory, lengths }));
        Ok(())
    })?
}

pub(crate) fn receive_into(id: u32, target: &mut [u8], max_length: f64, timeout: f64) -> Result<i32> {
    let code = run(id, timeout, |shared, realm, connection, wait| {
        let room = Room {
            target,
            lengths: &mut [0],
            spare: &mut [],
        };
        connection.receive(shared, realm, room, max_length as u64, wait)?;
        Ok(())
    })?;
    Ok(if code == 0 { 1 } else { code })
}

/// Puts a message without descriptors back in front.
#[napi]
pub fn unread(id: u32, message: Uint8ArraySlice<'_>) -> Result<i32> {
    with_connection(id, |_, _, connection| {
        connection.decoder.unread(message.as_ref());
        0
    })
}

pub(crate) fn receive_record(id: u32, max: usize, timeout: f64) -> Result<i32> {
    run(id, timeout, |shared, realm, connection, wait| {
        connection.receive_record(shared, realm, max, wait)
    })
}

/// Bytes that JavaScript read for a connection without a descriptor; none are the end.
#[napi]
pub fn feed(id: u32, bytes: Uint8ArraySlice<'_>) -> Result<i32> {
    with_connection(id, |_, _, connection| {
        connection.ended |= bytes.is_empty();
        connection.decoder.feed(bytes.as_ref());
        0
    })
}
