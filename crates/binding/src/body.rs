//! Large bodies, which are read straight into memory of their own.

use std::io::IoSliceMut;

use napi::Result;
use napi_derive::napi;

use crate::codes::{MAX_UNCLAIMED, MESSAGE_TRUNCATED, PROTOCOL_ERROR, TARGET_FULL, WOULD_BLOCK};
use crate::connection::{Connection, Transport, with_connection};
use crate::environment::Shared;
use crate::napi::held_buffer::HeldBuffer;
use crate::napi::realm::Realm;
use crate::receive::{Code, HEADER_WINDOW, Wait, run};

/// A body that is read without JavaScript, which hears of it when it is complete. Its first byte belongs at `offset` of
/// `buffer`.
pub(crate) struct UnattendedBody {
    buffer: HeldBuffer,
    offset: usize,
}

/// What ended such a body.
pub(crate) struct Failure {
    code: Code,
    syscall: &'static str,
}

impl Connection {
    /// Goes on with a large body, whose first byte belongs at `offset` of `buffer`. Where it waits for more and the buffer
    /// has room for all of it, `hold` keeps the buffer, and JavaScript is not called before the body is complete.
    fn receive_body(
        &mut self,
        shared: &Shared,
        realm: &Realm,
        buffer: &mut [u8],
        offset: usize,
        hold: &dyn Fn() -> Result<HeldBuffer>,
        wait: Wait,
    ) -> std::result::Result<(), Code> {
        if let Some(failure) = self.body_failure.take() {
            shared.syscall.set(failure.syscall);
            return Err(failure.code);
        }
        if !self.decoder.in_body() {
            self.decoder.begin_body();
        }
        let unattended = self.unattended.take();
        let target = buffer.get_mut(offset..).unwrap_or_default();
        let has_room = target.len() as u64 >= self.decoder.body_len();
        let result = self.read_body(shared, target, wait);
        if result == Err(WOULD_BLOCK) && has_room && self.transport != Transport::Stream {
            // Without it JavaScript reads on.
            self.unattended =
                unattended.or_else(|| hold().ok().map(|buffer| Box::new(UnattendedBody { buffer, offset })));
        }
        result?;
        self.large = true;
        let fds = self.decoder.finish();
        self.deliver(shared, realm, fds)
    }

    /// Reads on in the body begun, whose first byte belongs at the start of `target`, until it is complete.
    fn read_body(&mut self, shared: &Shared, target: &mut [u8], wait: Wait) -> std::result::Result<(), Code> {
        let length = self.decoder.body_len();
        let room = length.min(target.len() as u64) as usize;
        loop {
            let filled = self.decoder.body_filled();
            if filled == length {
                return Ok(());
            }
            let Some(rest) = target.get_mut(filled as usize..room).filter(|rest| !rest.is_empty()) else {
                return Err(TARGET_FULL);
            };
            if self.decoder.buffered() > 0 {
                self.decoder.fill(rest);
                continue;
            }
            if self.ended {
                self.decoder.end_of_stream();
                return Err(MESSAGE_TRUNCATED);
            }
            if self.decoder.unclaimed() >= MAX_UNCLAIMED as usize {
                return Err(PROTOCOL_ERROR);
            }
            self.may_read(shared, wait)?;
            // The next header comes along, and a read that ends before its window says that there is nothing more.
            let reaches_end = self.read_ahead && filled + rest.len() as u64 == length;
            let mut scratch = shared.scratch.borrow_mut();
            let beyond = &mut scratch[..if reaches_end { HEADER_WINDOW } else { 0 }];
            let end = self.decoder.end();
            let bytes = self.read(shared, &mut [IoSliceMut::new(rest), IoSliceMut::new(beyond)], end)?;
            let body = bytes.min(rest.len());
            self.decoder.filled_directly(body);
            self.decoder.feed(&beyond[..bytes - body]);
        }
    }

    /// Reads on in a large body without JavaScript; false where JavaScript has something to hear.
    pub(crate) fn reads_on(&mut self, shared: &Shared) -> bool {
        let Some(mut body) = self.unattended.take() else {
            return false;
        };
        if !body.buffer.refresh() {
            return false;
        }
        let target = body.buffer.as_mut().get_mut(body.offset..).unwrap_or_default();
        match self.read_body(shared, target, Wait::Reported) {
            Ok(()) => false,
            Err(WOULD_BLOCK) => {
                self.unattended = Some(body);
                true
            }
            Err(code) => {
                let syscall = shared.syscall.get();
                self.body_failure = Some(Box::new(Failure { code, syscall }));
                false
            }
        }
    }
}

pub(crate) fn receive_body(
    id: u32,
    buffer: &mut [u8],
    offset: usize,
    hold: &dyn Fn() -> Result<HeldBuffer>,
    timeout: f64,
) -> Result<i32> {
    run(id, timeout, |shared, realm, connection, wait| {
        connection.receive_body(shared, realm, buffer, offset, hold, wait)
    })
}

/// Reads no further into the buffer of the large message under way; returns how much of it has arrived.
#[napi]
pub fn leave_body(id: u32) -> Result<f64> {
    let mut filled = 0;
    with_connection(id, |_, _, connection| {
        connection.unattended = None;
        filled = connection.decoder.body_filled();
        0
    })?;
    Ok(filled as f64)
}
