//! A connection: transport, decoder, outbox, and what is known of the transport's readiness.

use std::collections::VecDeque;
use std::time::Duration;

use fdwire_ancillary::Readiness;
use fdwire_framing::{Decoder, Outbox, Snapshot};
use fdwire_multiplexer::{Budget, Event, Token};

use super::holding::Body;
use crate::interest::Interest;
use crate::memory::Memory;
use crate::outcome::{Error, Outcome, Place, Result};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::transport::{Kind, Transport};

/// What a turn has to tell of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// There may be something to read.
    pub readable: bool,
    /// Queued bytes went out, or failed to; for a watch, writable.
    pub writable: bool,
    /// The peer is gone, which is watched for.
    pub gone: bool,
}

/// Over a transport `T`, with messages in memory `M`.
#[derive(Debug)]
pub struct Connection<T: Transport, M: Memory> {
    pub(super) transport: T,
    pub(super) interest: Interest,
    pub(super) decoder: Decoder<T::Fd>,
    pub(super) outbox: Outbox<M, T::Fd>,
    pub(super) budget: Budget,
    pub(super) settings: Settings,
    /// Sent descriptors that the peer has not acknowledged yet.
    pub(super) held: VecDeque<Vec<T::Fd>>,
    /// There may be something to read: true until a read says otherwise, and again from the next event on.
    pub(super) readable: bool,
    /// The peer closed its side: from now on only reading tells what is left.
    pub(super) hung_up: bool,
    /// Somebody wants to hear of that, once.
    watches_end: bool,
    pub(super) ended: bool,
    /// Somebody wants to hear of each chance to read, not only when the body under way is complete.
    pub(super) each_chance: bool,
    /// Of the large message under way, where it has any.
    pub(super) body: Option<Box<Body<M>>>,
    /// The body read last was large: the next header is read by itself, so that its body needs no copy.
    pub(super) large: bool,
    /// The length of the last message, where it was large: that of the next is mostly the same. Else 0.
    pub(super) expected: usize,
    /// What a look ahead found wrong: the next receive has it.
    pub(super) found: Option<Error>,
    /// The peer does not speak our protocol: nothing can be received any more.
    pub(super) refused: bool,
    /// The write that failed, until it was reported.
    pub(super) send_error: Option<Error>,
    /// The stream broke inside a frame: nothing can follow, and the error stays.
    pub(super) broken: bool,
}

impl<T: Transport, M: Memory> Connection<T, M> {
    /// Idle. `token` is what the reactor is to report it by.
    pub fn new(transport: T, token: Token, settings: Settings) -> Connection<T, M> {
        Connection {
            transport,
            interest: Interest::new(token),
            decoder: Decoder::new(),
            outbox: Outbox::new(),
            budget: Budget::new(),
            settings,
            held: VecDeque::new(),
            readable: true,
            hung_up: false,
            watches_end: false,
            ended: false,
            each_chance: false,
            body: None,
            large: false,
            expected: 0,
            found: None,
            refused: false,
            send_error: None,
            broken: false,
        }
    }

    /// What carries its bytes.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// Whether it carries descriptors.
    pub fn carries_descriptors(&self) -> bool {
        self.transport.kind() == Kind::Unix
    }

    /// Notes what the reactor saw; queued bytes go out, and a body under way comes in, by themselves. Returns what somebody
    /// is to hear.
    pub fn ready(&mut self, shared: &Shared<M>, event: Event) -> Ready {
        let mut ready = Ready::default();
        if event.readable {
            self.readable = true;
            self.hung_up |= event.read_closed;
            ready.gone = event.read_closed && std::mem::take(&mut self.watches_end);
            if self.interest.take_reading() {
                ready.readable = std::mem::take(&mut self.each_chance) || !self.reads_on(shared);
            }
        }
        if event.writable {
            if self.interest.writing() {
                ready.writable = self.flush_queued(shared);
            } else {
                self.interest.unused_write(shared, &self.transport);
            }
        }
        self.interest.update(shared);
        ready
    }

    /// The event to expect of this connection alone.
    pub(crate) fn expected_event(&self) -> Option<Event> {
        self.interest.expected()
    }

    /// Has the next chance to read reported.
    ///
    /// # Errors
    ///
    /// The reactor's.
    pub fn await_read(&mut self, shared: &Shared<M>) -> Result<()> {
        self.each_chance = true;
        self.interest.await_read(shared, &self.transport)
    }

    /// Has it reported once that the peer is gone, or sends no more; true where that is known already. Reads nothing.
    ///
    /// # Errors
    ///
    /// The reactor's.
    pub fn watch_end(&mut self, shared: &Shared<M>) -> Result<bool> {
        if self.hung_up || self.ended {
            return Ok(true);
        }
        self.interest.watch(shared, &self.transport)?;
        self.watches_end = true;
        Ok(false)
    }

    /// Nobody waits for something to read any more.
    pub fn forget_read(&mut self, shared: &Shared<M>) {
        self.each_chance = false;
        self.interest.forget_read(shared);
    }

    /// What is pending keeps the process alive, or does not.
    pub fn reference(&mut self, shared: &Shared<M>, referenced: bool) {
        self.interest.reference(shared, referenced);
    }

    /// Changes how many bytes a received message may have: a handshake has a limit of its own.
    pub fn limit(&mut self, max_message_size: u64) {
        self.settings.max_message_size = max_message_size;
    }

    /// Whether a receive would find something without asking anybody: bytes, the end, or an error.
    pub fn has_read_ahead(&self) -> bool {
        self.decoder.buffered() > 0 || self.decoder.in_body() || self.ended || self.refused || self.found.is_some()
    }

    /// Whether a receive would find something: bytes, the end, or an error. Waits that long for it.
    ///
    /// # Errors
    ///
    /// The transport's.
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<bool> {
        self.settle_acknowledgements();
        if self.has_read_ahead() {
            return Ok(true);
        }
        if self.transport.kind() != Kind::Carried {
            self.readable = self.transport.wait(Readiness::READABLE, timeout)?;
        }
        Ok(self.readable)
    }

    /// What JavaScript read where it carries the bytes; none are the end.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.ended |= bytes.is_empty();
        self.decoder.feed(bytes);
    }

    /// Puts a message without descriptors back in front.
    pub fn unread(&mut self, message: &[u8]) {
        self.decoder.unread(message);
    }

    /// What was read ahead, for moving the connection; none inside a large message, or where descriptors were lost.
    pub fn snapshot(&self) -> Option<Snapshot<'_, T::Fd>> {
        if self.refused || self.found.is_some() {
            return None;
        }
        self.decoder.snapshot()
    }

    /// Takes what was read ahead elsewhere: bytes, (offset, descriptors, whether a read ended there) and how many
    /// acknowledgements are due. False where the tags are out of order, or beyond the bytes: then nothing is taken.
    pub fn import(&mut self, bytes: &[u8], tags: Vec<(u64, Vec<T::Fd>, bool)>, acknowledgements: u32) -> bool {
        let due = acknowledgements as usize;
        if self.decoder.restore(bytes, tags, due).is_err() {
            return false;
        }
        for _ in 0..acknowledgements {
            self.held.push_back(Vec::new());
        }
        true
    }

    /// Whether bytes are read ahead or queued.
    pub fn is_busy(&self) -> bool {
        self.decoder.buffered() > 0 || self.decoder.in_body() || !self.outbox.is_empty()
    }

    /// Leaves the reactor; what is read ahead or queued is lost.
    pub fn into_transport(mut self, shared: &Shared<M>) -> T {
        self.interest.stop(shared, &self.transport);
        self.transport
    }

    /// What an operation came to, with the positions as they are now.
    pub(super) fn outcome(&self, result: Result<i32>) -> Outcome<M, T::Fd> {
        Outcome {
            result,
            place: Place::Nowhere,
            length: result.err().map_or(0, Error::length),
            descriptors: Vec::new(),
            written: self.outbox.written(),
            queued: self.outbox.queued(),
        }
    }
}
