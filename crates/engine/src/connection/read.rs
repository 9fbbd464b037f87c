//! Reading: once, where there is something and this turn's share is not used up, or blocking until then.

use std::time::Instant;

use fdwire_ancillary::{ARRIVAL, Arrival, Readiness};
use fdwire_multiplexer::Interest as Direction;

use super::state::Connection;
use crate::memory::{Memory, Region};
use crate::outcome::{Error, Result};
use crate::settings::{HEADER_WINDOW, MAX_UNCLAIMED};
use crate::shared::Shared;
use crate::transport::{Kind, Transport};

/// What a receive does where there is nothing to read.
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    /// It ends, and the source is reported when there is something.
    Reported,
    /// It blocks until then; for ever without a deadline.
    Until(Option<Instant>),
}

impl<T: Transport, M: Memory> Connection<T, M> {
    /// Reads once; of a pipe only into the first buffer. `end` is the stream position where that begins. Nothing to read is
    /// 0 bytes, and no longer `readable`.
    pub(super) fn read(&mut self, shared: &Shared<M>, buffers: &[Region<'_>], end: u64) -> Result<usize> {
        let buffers = match self.transport.kind() {
            Kind::File => &buffers[..1],
            _ => buffers,
        };
        let window = buffers.iter().map(Region::len).sum::<usize>();
        let arrived = match self.transport.receive(buffers, &mut shared.control.borrow_mut()) {
            Ok(arrived) => arrived,
            Err(error) if error.would_block() => {
                self.readable = false;
                shared.expected.set(None);
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        if arrived.bytes == 0 {
            self.ended = true;
            return Ok(0);
        }
        let bytes = arrived.bytes;
        // A read that ended at descriptors, or before the peer's end, may have left something behind.
        if bytes < window && !arrived.control && !self.hung_up {
            self.readable = false;
        }
        if arrived.truncated || !arrived.fds.is_empty() {
            let position = match ARRIVAL {
                Arrival::LastByte => end + (bytes as u64).saturating_sub(1),
                Arrival::FirstByte => end,
            };
            let exact = bytes < window;
            if arrived.truncated {
                self.decoder.attach_lost(position, exact);
            } else {
                self.decoder.attach(position, arrived.fds, exact);
            }
        }
        self.budget.spend(shared.turn.get(), bytes);
        Ok(bytes)
    }

    /// Whether something may be read now: this turn's share may be used up, or there is nothing. With a deadline it waits
    /// here.
    pub(super) fn may_read(&mut self, shared: &Shared<M>, wait: Wait) -> Result<()> {
        if self.transport.kind() == Kind::Carried {
            return Err(Error::WouldBlock);
        }
        if let Wait::Until(deadline) = wait {
            return if self.readable { Ok(()) } else { self.block(deadline) };
        }
        if !self.readable {
            self.interest.await_read(shared, &self.transport)?;
            return Err(Error::WouldBlock);
        }
        if self.budget.exhausted(shared.turn.get()) {
            self.interest.await_turn(shared, Direction::Read);
            return Err(Error::WouldBlock);
        }
        Ok(())
    }

    /// Blocks until there is something to read.
    fn block(&mut self, deadline: Option<Instant>) -> Result<()> {
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.readable = self.transport.wait(Readiness::READABLE, timeout)?;
        if self.readable { Ok(()) } else { Err(Error::TimedOut) }
    }

    /// Reads something into the decoder, at most `limit` bytes.
    pub(super) fn fill(&mut self, shared: &Shared<M>, limit: usize, wait: Wait) -> Result<()> {
        if self.ended {
            let truncated = self.decoder.end_of_stream();
            return Err(if truncated {
                Error::MessageTruncated
            } else {
                Error::EndOfStream
            });
        }
        if self.decoder.unclaimed() >= MAX_UNCLAIMED {
            return Err(self.refuse());
        }
        self.may_read(shared, wait)?;
        let mut scratch = shared.scratch.borrow_mut();
        let window = scratch.len().min(limit);
        let end = self.decoder.end();
        let bytes = self.read(shared, &[Region::of(&mut scratch[..window])], end)?;
        self.decoder.feed(&scratch[..bytes]);
        Ok(())
    }

    /// How much one read may take.
    pub(super) fn window(&mut self) -> usize {
        if !self.settings.read_ahead {
            return self
                .decoder
                .missing()
                .map_or(1, |missing| missing.try_into().unwrap_or(usize::MAX));
        }
        if self.large { HEADER_WINDOW } else { usize::MAX }
    }

    /// The peer does not speak our protocol: what it sent is dropped, and so is all that follows.
    pub(super) fn refuse(&mut self) -> Error {
        self.refused = true;
        self.body = None;
        self.decoder.refuse_all();
        Error::ProtocolError
    }
}
