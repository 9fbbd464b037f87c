//! Sending: at once where the transport takes it, else through the outbox.

use std::ops::Range;
use std::time::Instant;

use fdwire_ancillary::{Errno, MAX_FDS, Readiness};
use fdwire_framing::{Header, Piece};
use fdwire_multiplexer::{Budget, Interest as Direction};

use super::state::Connection;
use crate::memory::{Bytes, Memory, Offer};
use crate::outcome::{Error, Outcome, Result};
use crate::settings::{COPIED, MAX_PIECES, OUTPUT};
use crate::shared::Shared;
use crate::transport::{Kind, Transport};

/// The memory of a queued send was transferred away.
const BODY_GONE: Error = Error::system("sendmsg", Errno::EFAULT);

/// The body of a message: part of somebody's memory.
#[derive(Debug)]
pub struct Message<O> {
    /// The memory.
    pub memory: O,
    /// The part.
    pub range: Range<usize>,
}

impl<T: Transport, M: Memory> Connection<T, M> {
    /// Sends or queues small messages together: frames, as they go out. With `cork` they are only queued. The result is 0
    /// when the kernel has all, and 1 when not yet.
    pub fn send_frames(&mut self, shared: &Shared<M>, frames: &[u8], cork: bool) -> Outcome<M, T::Fd> {
        let result = self.push_frames(shared, frames, cork);
        self.outcome(result)
    }

    /// Sends or queues one message, or a handle record alone. What cannot leave at once is held. Where that fails nothing
    /// of it was sent.
    pub fn send<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        message: Option<Message<O>>,
        fds: &[T::Borrowed<'_>],
        cork: bool,
    ) -> Outcome<M, T::Fd> {
        let result = self.push_message(shared, message, fds, cork);
        self.outcome(result)
    }

    /// Hands what was corked to the kernel.
    pub fn flush(&mut self, shared: &Shared<M>) -> Outcome<M, T::Fd> {
        if !self.interest.writing() {
            self.flush_queued(shared);
        }
        self.sent()
    }

    /// What became of the sends so far: 0 when the kernel has all, 1 when not yet, or the error of the write that failed.
    pub fn sent(&mut self) -> Outcome<M, T::Fd> {
        let pending = self.interest.writing() || !self.outbox.is_empty();
        let error = self.send_error;
        if !self.broken {
            self.send_error = None;
        }
        self.outcome(error.map_or(Ok(i32::from(pending)), Err))
    }

    /// Blocks until the kernel has what is queued. When the time is over, what was not taken of the memory sent last is
    /// copied, and leaves like anything else that is queued.
    pub fn flush_wait(&mut self, shared: &Shared<M>, deadline: Option<Instant>) -> Outcome<M, T::Fd> {
        loop {
            self.budget = Budget::new();
            self.flush_queued(shared);
            if self.outbox.is_empty() {
                return self.sent();
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.transport.wait(Readiness::WRITABLE, left) {
                Ok(true) => {}
                Ok(false) => {
                    self.own_last();
                    return self.outcome(Err(Error::TimedOut));
                }
                Err(error) => {
                    self.own_last();
                    return self.outcome(Err(error));
                }
            }
        }
    }

    /// Takes what is queued where JavaScript carries the bytes, up to about a mebibyte.
    pub fn take_output(&mut self, shared: &Shared<M>) -> (Vec<u8>, Outcome<M, T::Fd>) {
        let mut output = Vec::new();
        let mut gone = false;
        for piece in self.outbox.pieces(MAX_PIECES) {
            let Some(bytes) = bytes_of(piece) else {
                gone = true;
                break;
            };
            if output.len() < OUTPUT {
                bytes.first(OUTPUT).append_to(&mut output);
            }
        }
        if gone {
            output.clear();
            self.fail_send(BODY_GONE);
        }
        self.outbox.advance(output.len());
        let _ = self
            .interest
            .await_write(shared, &self.transport, !self.outbox.is_empty());
        (output, self.outcome(Ok(0)))
    }

    /// Bytes that wait for the kernel.
    pub fn queued_length(&self) -> u64 {
        self.outbox.len()
    }

    /// Hands queued bytes to the kernel. True when somebody has something to hear: a message may have gone, or an error.
    pub(super) fn flush_queued(&mut self, shared: &Shared<M>) -> bool {
        let before = self.outbox.written();
        let shared_until = self.outbox.shared_until();
        let mut blocked = false;
        while !self.outbox.is_empty() {
            if self.budget.exhausted(shared.turn.get()) {
                self.interest.await_turn(shared, Direction::Write);
                blocked = true;
                break;
            }
            match self.write_head() {
                Ok((count, size)) => {
                    self.budget.spend(shared.turn.get(), count);
                    let sent = self.outbox.advance(count);
                    self.hold(sent);
                    if self.is_full(count, size) {
                        blocked = true;
                        break;
                    }
                }
                Err(error) if error.would_block() => {
                    blocked = true;
                    if self.outbox.written() == before {
                        shared.expected.set(None);
                    }
                    break;
                }
                Err(error) => {
                    self.fail_send(error);
                    break;
                }
            }
        }
        self.watch_writes(shared, blocked);
        let inside = shared_until.is_some() && shared_until == self.outbox.shared_until();
        self.send_error.is_some() || (self.outbox.written() != before && !inside) || !self.interest.writing()
    }

    /// Has the next chance to write reported, where one is waited for.
    fn watch_writes(&mut self, shared: &Shared<M>, blocked: bool) {
        if let Err(error) = self.interest.await_write(shared, &self.transport, blocked) {
            self.outbox.clear();
            self.send_error = Some(error);
            self.broken = true;
        }
    }

    /// Whether a write of `size` bytes that took `count` says that the next would take none. A pipe takes what leaves a
    /// write atomic, and may take more.
    fn is_full(&self, count: usize, size: usize) -> bool {
        count < size && self.transport.kind() != Kind::File
    }

    /// One write of what stands first, a record alone or bytes up to the next record: how many went, of how many.
    fn write_head(&mut self) -> Result<(usize, usize)> {
        if let Some((byte, fds)) = self.outbox.record() {
            let fds: Vec<_> = fds.iter().map(T::borrow).collect();
            return self
                .transport
                .send(&[Bytes::Ours(&[byte])], &fds)
                .map(|count| (count, 1));
        }
        let mut bytes = [Bytes::Ours(&[]); MAX_PIECES];
        let mut count = 0;
        for (slot, piece) in bytes.iter_mut().zip(self.outbox.pieces(MAX_PIECES)) {
            match bytes_of(piece) {
                Some(bytes) => *slot = bytes,
                // What stands before it can still leave.
                None if count > 0 => break,
                None => return Err(BODY_GONE),
            }
            count += 1;
        }
        let bytes = &bytes[..count];
        let size = bytes.iter().map(Bytes::len).sum();
        self.transport.send(bytes, &[]).map(|count| (count, size))
    }

    /// A write failed: what is queued can never leave. Nothing can follow either, except where a record failed: that is
    /// at a message's start.
    fn fail_send(&mut self, error: Error) {
        self.send_error = Some(error);
        self.broken = self.outbox.record().is_none();
        self.outbox.clear();
    }

    /// Keeps sent descriptors open until the peer has acknowledged them, where it does.
    fn hold(&mut self, fds: Vec<T::Fd>) {
        if self.settings.acknowledge && !fds.is_empty() {
            self.decoder.expect_acknowledgement();
            self.held.push_back(fds);
        }
    }

    /// Has what was sent last be ours, as far as it is waiting.
    fn own_last(&mut self) {
        self.outbox
            .own_last(|memory, range| Some(memory.region()?.get(range)?.to_vec()));
    }

    /// Sends descriptors ahead of what follows: one byte of their own. False when they had to be queued.
    fn push_record(&mut self, fds: &[T::Borrowed<'_>], queue: bool) -> Result<bool> {
        if fds.len() > MAX_FDS {
            return Err(Error::system("sendmsg", Errno::EINVAL));
        }
        if !queue && !self.settings.acknowledge {
            match self.transport.send(&[Bytes::Ours(&[fds.len() as u8])], fds) {
                Ok(count) => {
                    self.outbox.written_directly(count);
                    return Ok(true);
                }
                Err(error) if error.would_block() => {}
                Err(error) => return Err(error),
            }
        }
        let owned = fds.iter().map(|&fd| T::duplicate(fd));
        self.outbox.push_record(owned.collect::<Result<Vec<_>>>()?);
        Ok(false)
    }

    fn push_frames(&mut self, shared: &Shared<M>, frames: &[u8], cork: bool) -> Result<i32> {
        self.check_send()?;
        let mut sent = 0;
        let mut blocked = false;
        if !cork && self.outbox.is_empty() {
            match self.transport.send(&[Bytes::Ours(frames)], &[]) {
                Ok(count) => {
                    sent = count;
                    blocked = self.is_full(count, frames.len());
                }
                Err(error) if error.would_block() => blocked = true,
                Err(error) => return Err(error),
            }
            self.outbox.written_directly(sent);
            self.budget.spend(shared.turn.get(), sent);
        }
        self.outbox.push_bytes(&frames[sent..]);
        self.after_send(shared, cork, blocked)
    }

    fn push_message<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        message: Option<Message<O>>,
        fds: &[T::Borrowed<'_>],
        cork: bool,
    ) -> Result<i32> {
        self.check_send()?;
        let mut queue = cork || !self.outbox.is_empty();
        let mut blocked = false;
        if !fds.is_empty() {
            queue = !self.push_record(fds, queue)?;
        }
        if let Some(message) = message {
            blocked = self.push_body(shared, message, !fds.is_empty(), queue)?;
        }
        self.after_send(shared, cork, blocked)
    }

    /// Sends or queues a frame; `behind`: descriptors went ahead of it. Returns whether the kernel has just refused it.
    fn push_body<O: Offer<Held = M>>(
        &mut self,
        shared: &Shared<M>,
        Message { mut memory, range }: Message<O>,
        behind: bool,
        queue: bool,
    ) -> Result<bool> {
        let Some(body) = memory.region().and_then(|region| region.get(range.clone())) else {
            // It was checked before; descriptors that went ahead cannot be taken back.
            if behind {
                self.fail_send(BODY_GONE);
            }
            return Err(BODY_GONE);
        };
        let header = Header::encode(body.len() as u64);
        let header = header.as_bytes();
        let mut sent = 0;
        let mut blocked = false;
        if !queue {
            match self.transport.send(&[Bytes::Ours(header), Bytes::Theirs(body)], &[]) {
                Ok(count) => {
                    sent = count;
                    blocked = self.is_full(count, header.len() + body.len());
                }
                Err(error) if error.would_block() => blocked = true,
                Err(error) => {
                    // Descriptors that went ahead cannot be taken back: the stream ends here.
                    if behind {
                        self.fail_send(error);
                    }
                    return Err(error);
                }
            }
            self.outbox.written_directly(sent);
            self.budget.spend(shared.turn.get(), sent);
        }
        let rest = range.start + sent.saturating_sub(header.len())..range.end;
        // The header goes out only when the body is sure to follow.
        let held = if rest.len() > COPIED { memory.hold() } else { None };
        let copied = match (&held, memory.region().and_then(|region| region.get(rest.clone()))) {
            (None, Some(region)) => region.to_vec(),
            _ => Vec::new(),
        };
        if let Some(unsent) = header.get(sent..) {
            self.outbox.push_bytes(unsent);
        }
        match held {
            Some(held) => self.outbox.push_shared(held, rest),
            None => self.outbox.push_bytes(&copied),
        }
        Ok(blocked)
    }

    fn check_send(&self) -> Result<()> {
        self.send_error.map_or(Ok(()), Err)
    }

    /// What a send that went out or was queued comes to; `blocked`: the kernel has just refused it.
    fn after_send(&mut self, shared: &Shared<M>, cork: bool, blocked: bool) -> Result<i32> {
        const DONE: i32 = 0;
        const QUEUED: i32 = 1;
        if cork {
            return Ok(QUEUED);
        }
        if !self.outbox.is_empty() {
            if blocked {
                self.watch_writes(shared, true);
            } else if !self.interest.writing() {
                self.flush_queued(shared);
            }
            self.check_send()?;
        }
        if self.interest.writing() {
            return Ok(QUEUED);
        }
        if self.budget.exhausted(shared.turn.get()) {
            self.interest.await_turn(shared, Direction::Write);
            return Ok(QUEUED);
        }
        Ok(DONE)
    }
}

fn bytes_of<M: Memory>(piece: Piece<'_, M>) -> Option<Bytes<'_>> {
    match piece {
        Piece::Copied(bytes) => Some(Bytes::Ours(bytes)),
        Piece::Shared(memory, range) => memory.region()?.get(range).map(Bytes::Theirs),
    }
}
