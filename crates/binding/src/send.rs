//! Writing: at once where the kernel takes it, else through the outbox.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use fdwire_ancillary::{self as ancillary, Errno, Error, MAX_FDS, Readiness};
use fdwire_framing::Header;
use fdwire_multiplexer::Budget;
use napi::bindgen_prelude::{Buffer, JsValue, Unknown};
use napi::{Env, Result};
use napi_derive::napi;

use crate::codes::{QUEUED, TIMED_OUT, duration};
use crate::connection::{Connection, Transport, with_connection};
use crate::descriptors;
use crate::environment::{self, Shared};
use crate::napi::held_array::HeldArray;
use crate::napi::held_buffer::HeldBuffer;
use crate::napi::realm::Realm;

/// What is left of a body up to here is copied into the outbox; more is referenced.
const COPIED: usize = 16 * 1024;
/// About as much is handed to JavaScript at a time.
const OUTPUT: usize = 1024 * 1024;
/// Slices of one write: small messages stand together in one, and the kernel takes no more of large ones anyway.
const MAX_SLICES: usize = 16;

/// The buffer of a queued send was transferred away.
const BODY_GONE: Error = Error::System {
    syscall: "sendmsg",
    errno: Errno::EFAULT,
};

impl Connection {
    fn write(&self, slices: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> std::result::Result<usize, Error> {
        match self.transport {
            Transport::File => ancillary::write(self.fd()?, slices, false),
            Transport::Unix | Transport::Socket => ancillary::send(self.fd()?, slices, fds, false),
            // JavaScript comes for it.
            Transport::Stream => Err(Error::System {
                syscall: "write",
                errno: Errno::EAGAIN,
            }),
        }
    }

    /// Hands queued bytes to the kernel. True when JavaScript has something to hear: a message may have gone, or an error.
    pub(crate) fn flush(&mut self, shared: &Shared) -> bool {
        let before = self.outbox.written();
        let shared_until = self.outbox.shared_until();
        self.awaiting_write = false;
        while !self.outbox.is_empty() {
            if self.budget.exhausted(shared.turn.get()) {
                self.await_turn(shared, true);
                break;
            }
            match self.write_head() {
                Ok((count, size)) => {
                    self.budget.spend(shared.turn.get(), count);
                    let sent = self.outbox.advance(count);
                    self.hold(sent);
                    if self.is_full(count, size) {
                        self.awaiting_write = true;
                        break;
                    }
                }
                Err(error) if error.would_block() => {
                    self.awaiting_write = true;
                    if self.outbox.written() == before {
                        shared.expected.set(None);
                    }
                    break;
                }
                Err(error) => {
                    self.fail_send(shared, &error);
                    break;
                }
            }
        }
        self.watch_writes(shared);
        let inside = shared_until.is_some() && shared_until == self.outbox.shared_until();
        self.send_error != 0 || (self.outbox.written() != before && !inside) || !self.awaiting_write
    }

    /// Has the next chance to write reported, where one is waited for.
    fn watch_writes(&mut self, shared: &Shared) {
        if let Err(code) = self.register(shared) {
            self.outbox.clear();
            self.awaiting_write = false;
            self.send_error = code;
            self.broken = true;
        }
        self.update(shared);
    }

    /// Whether a write of `size` bytes that took `count` says that the next would take none. A pipe takes what leaves a
    /// write atomic, and may take more.
    fn is_full(&self, count: usize, size: usize) -> bool {
        count < size && self.transport != Transport::File
    }

    /// Finds the memory of what is queued by reference; false where some is gone.
    fn refresh_bodies(&mut self) -> bool {
        self.outbox.shared().take(MAX_SLICES).all(HeldBuffer::refresh)
    }

    /// One write of what stands first, a record alone or bytes up to the next record: how many went, of how many.
    fn write_head(&mut self) -> std::result::Result<(usize, usize), Error> {
        if !self.refresh_bodies() {
            return Err(BODY_GONE);
        }
        if let Some((byte, fds)) = self.outbox.record() {
            let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            return self.write(&[IoSlice::new(&[byte])], &fds).map(|count| (count, 1));
        }
        let mut slices = Vec::new();
        self.outbox.gather(&mut slices, MAX_SLICES);
        let size = slices.iter().map(|slice| slice.len()).sum();
        self.write(&slices, &[]).map(|count| (count, size))
    }

    /// A write failed: what is queued can never leave. Nothing can follow either, except where a record failed: that is
    /// at a message's start.
    fn fail_send(&mut self, shared: &Shared, error: &Error) {
        self.send_error = shared.fail(error);
        self.broken = self.outbox.record().is_none();
        self.awaiting_write = false;
        self.outbox.clear();
    }

    /// Keeps sent descriptors open until the peer has acknowledged them, where it does.
    fn hold(&mut self, fds: Vec<OwnedFd>) {
        if self.acknowledge && !fds.is_empty() {
            self.decoder.expect_acknowledgement();
            self.held.push_back(fds);
        }
    }

    /// Sends descriptors ahead of what follows: one byte of their own. False when they had to be queued.
    fn send_record(&mut self, shared: &Shared, numbers: &[i32], queue: bool) -> std::result::Result<bool, i32> {
        let fail = |error: Error| shared.fail(&error);
        if numbers.len() > MAX_FDS {
            return Err(fail(Error::System {
                syscall: "sendmsg",
                errno: Errno::EINVAL,
            }));
        }
        let borrowed = numbers.iter().map(|&fd| descriptors::borrow_unchecked(fd));
        let borrowed = borrowed.collect::<std::result::Result<Vec<_>, _>>().map_err(fail)?;
        if !queue && !self.acknowledge {
            match self.write(&[IoSlice::new(&[numbers.len() as u8])], &borrowed) {
                Ok(count) => {
                    self.outbox.written_directly(count);
                    return Ok(true);
                }
                Err(error) if error.would_block() => {}
                Err(error) => return Err(fail(error)),
            }
        }
        let owned = borrowed.into_iter().map(ancillary::duplicate);
        self.outbox
            .push_record(owned.collect::<std::result::Result<Vec<_>, _>>().map_err(fail)?);
        Ok(false)
    }

    /// Sends or queues small messages together: frames, as they go out.
    fn send_frames(&mut self, shared: &Shared, frames: &[u8], cork: bool) -> std::result::Result<i32, i32> {
        if self.send_error != 0 {
            return Err(self.send_error);
        }
        let mut sent = 0;
        let mut blocked = false;
        if !cork && self.outbox.is_empty() {
            match self.write(&[IoSlice::new(frames)], &[]) {
                Ok(count) => {
                    sent = count;
                    blocked = self.is_full(count, frames.len());
                }
                Err(error) if error.would_block() => blocked = true,
                Err(error) => return Err(shared.fail(&error)),
            }
            self.outbox.written_directly(sent);
            self.budget.spend(shared.turn.get(), sent);
        }
        self.outbox.push_bytes(&frames[sent..]);
        self.after_send(shared, cork, blocked)
    }

    /// Sends or queues one message. What cannot leave at once is held.
    fn send_message(
        &mut self,
        shared: &Shared,
        message: Option<Message<'_>>,
        numbers: &[i32],
        cork: bool,
    ) -> std::result::Result<i32, i32> {
        if self.send_error != 0 {
            return Err(self.send_error);
        }
        let mut queue = cork || !self.outbox.is_empty();
        let mut blocked = false;
        if !numbers.is_empty() {
            queue = !self.send_record(shared, numbers, queue)?;
        }
        if let Some(Message { bytes, range, hold }) = message {
            let body = &bytes[range.clone()];
            let header = Header::encode(body.len() as u64);
            let header = header.as_bytes();
            let mut sent = 0;
            if !queue {
                match self.write(&[IoSlice::new(header), IoSlice::new(body)], &[]) {
                    Ok(count) => {
                        sent = count;
                        blocked = self.is_full(count, header.len() + body.len());
                    }
                    Err(error) if error.would_block() => blocked = true,
                    Err(error) => {
                        // Descriptors that went ahead cannot be taken back: the stream ends here.
                        if !numbers.is_empty() {
                            self.fail_send(shared, &error);
                        }
                        return Err(shared.fail(&error));
                    }
                }
                self.outbox.written_directly(sent);
                self.budget.spend(shared.turn.get(), sent);
            }
            if sent < header.len() {
                self.outbox.push_bytes(&header[sent..]);
            }
            let start = range.start + sent.saturating_sub(header.len());
            if range.end - start <= COPIED {
                self.outbox.push_bytes(&bytes[start..range.end]);
            } else {
                self.outbox
                    .push_shared(hold().map_err(|_| -libc::ENOMEM)?, start..range.end);
            }
        }
        self.after_send(shared, cork, blocked)
    }

    /// What a send that went out or was queued returns; `blocked`: the kernel has just refused it.
    fn after_send(&mut self, shared: &Shared, cork: bool, blocked: bool) -> std::result::Result<i32, i32> {
        if cork {
            return Ok(QUEUED);
        }
        if !self.outbox.is_empty() {
            if blocked {
                self.awaiting_write = true;
                self.watch_writes(shared);
            } else if !self.awaiting_write {
                self.flush(shared);
            }
            if self.send_error != 0 {
                return Err(self.send_error);
            }
        }
        if self.awaiting_write {
            return Ok(QUEUED);
        }
        if self.budget.exhausted(shared.turn.get()) {
            self.await_turn(shared, true);
            return Ok(QUEUED);
        }
        Ok(0)
    }
}

/// The body of a message: part of a buffer, and how to hold the buffer.
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    range: std::ops::Range<usize>,
    hold: &'a dyn Fn() -> Result<HeldBuffer>,
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8], offset: usize, size: usize, hold: &'a dyn Fn() -> Result<HeldBuffer>) -> Self {
        let start = offset.min(bytes.len());
        let range = start..start.saturating_add(size).min(bytes.len());
        Message { bytes, range, hold }
    }
}

fn report(realm: &Realm, connection: &Connection, result: std::result::Result<i32, i32>) -> i32 {
    realm.report_positions(connection.outbox.written(), connection.outbox.queued());
    result.unwrap_or_else(|code| code)
}

pub(crate) fn send(id: u32, message: Message<'_>, descriptors: u32, cork: bool) -> Result<i32> {
    with_connection(id, |shared, realm, connection| {
        let result = connection.send_message(shared, Some(message), &realm.descriptors(descriptors), cork);
        report(realm, connection, result)
    })
}

pub(crate) fn send_frames(id: u32, stage: usize, length: usize, cork: bool) -> Result<i32> {
    with_connection(id, |shared, realm, connection| {
        let stages = realm.stages.borrow();
        // SAFETY: only this thread uses the memory, and JavaScript does not run meanwhile.
        let stage = stages.get(stage).map(|stage| unsafe { &*stage.memory() });
        let Some(frames) = stage.and_then(|stage| stage.get(..length)) else {
            return -libc::EINVAL;
        };
        let result = connection.send_frames(shared, frames, cork);
        report(realm, connection, result)
    })
}

/// Memory in which JavaScript frames small messages; returns what `sendFrames` knows it by.
#[napi]
pub fn register_stage(env: Env, realm: u32, #[napi(ts_arg_type = "Uint8Array")] memory: Unknown<'_>) -> Result<u32> {
    environment::with(|environment| {
        let realm = environment.realm(realm)?;
        // SAFETY: a value of the call that is running.
        let memory = unsafe { HeldArray::new(env.raw(), memory.raw())? };
        let mut stages = realm.stages.borrow_mut();
        stages.push(memory);
        Ok(stages.len() as u32 - 1)
    })?
}

pub(crate) fn send_record(id: u32, descriptors: u32, cork: bool) -> Result<i32> {
    with_connection(id, |shared, realm, connection| {
        let result = connection.send_message(shared, None, &realm.descriptors(descriptors), cork);
        report(realm, connection, result)
    })
}

/// Hands what was corked to the kernel. Returns as `send` does.
#[napi]
pub fn flush(id: u32) -> Result<i32> {
    with_connection(id, |shared, realm, connection| {
        if !connection.awaiting_write {
            connection.flush(shared);
        }
        send_status(realm, connection)
    })
}

/// 0 when the kernel has all that was sent, QUEUED with the positions in the report, or the `-errno` of the write that
/// failed.
fn send_status(realm: &Realm, connection: &mut Connection) -> i32 {
    let pending = connection.awaiting_write || !connection.outbox.is_empty();
    let error = connection.send_error;
    if !connection.broken {
        connection.send_error = 0;
    }
    let status = if pending { QUEUED } else { 0 };
    report(realm, connection, if error != 0 { Err(error) } else { Ok(status) })
}

/// Blocks until the kernel has what is queued, for at most `timeout` milliseconds. Returns as `send` does, or TIMED_OUT.
#[napi]
pub fn flush_wait(id: u32, timeout: f64) -> Result<i32> {
    with_connection(id, |shared, realm, connection| {
        let deadline = duration(timeout).and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            connection.budget = Budget::new();
            connection.flush(shared);
            if connection.outbox.is_empty() {
                return send_status(realm, connection);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match connection
                .fd()
                .and_then(|fd| ancillary::poll(fd, Readiness::WRITABLE, left))
            {
                Ok(Readiness { writable: true, .. }) => {}
                Ok(_) => {
                    report(realm, connection, Ok(0));
                    return TIMED_OUT;
                }
                Err(error) => return shared.fail(&error),
            }
        }
    })
}

/// Takes what is queued on a connection without a descriptor, up to about a mebibyte, with the positions in the report.
#[napi]
pub fn take_output(id: u32) -> Result<Buffer> {
    let mut output = Vec::new();
    with_connection(id, |shared, realm, connection| {
        if !connection.refresh_bodies() {
            connection.fail_send(shared, &BODY_GONE);
        }
        let mut slices = Vec::new();
        connection.outbox.gather(&mut slices, MAX_SLICES);
        for slice in slices {
            if output.len() < OUTPUT {
                output.extend_from_slice(&slice[..slice.len().min(OUTPUT)]);
            }
        }
        connection.outbox.advance(output.len());
        connection.awaiting_write = !connection.outbox.is_empty();
        connection.update(shared);
        report(realm, connection, Ok(0))
    })?;
    Ok(output.into())
}

/// What became of the sends so far: as `flush`, without writing.
#[napi]
pub fn sent(id: u32) -> Result<i32> {
    with_connection(id, |_, realm, connection| send_status(realm, connection))
}

/// Bytes that wait for the kernel.
#[napi]
pub fn queued_length(id: u32) -> Result<f64> {
    let mut length = 0;
    with_connection(id, |_, _, connection| {
        length = connection.outbox.len();
        0
    })?;
    Ok(length as f64)
}
