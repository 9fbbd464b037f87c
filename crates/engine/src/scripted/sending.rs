//! Sending, held against what the peer then has.

use fdwire_framing::Header;
use fdwire_multiplexer::{Event, Token};

use super::tape::{LENGTHS, Tape, body};
use super::transport::{Loan, Script};
use crate::connection::{Connection, Message};
use crate::outcome::Error;
use crate::settings::Settings;
use crate::shared::Shared;

/// Sends messages to a peer that takes them as it likes: it has them whole and in order, up to what was told as failed.
pub fn send(tape: &[u8]) {
    let mut tape = Tape(tape);
    let script = Script::new();
    let shared = Shared::without_reactor();
    let settings = Settings {
        max_message_size: 0,
        read_ahead: true,
        acknowledge: false,
        no_delay: false,
    };
    let token = Token(1);
    let mut connection: Connection<Script, Loan> = Connection::new(script.clone(), token, settings);
    let event = Event {
        token,
        readable: false,
        read_closed: false,
        writable: true,
    };
    let fd = script.descriptor();
    let mut wire = Vec::new();
    let mut records = Vec::new();
    let mut seed = 0;
    while !tape.is_over() {
        let cork = tape.below(4) == 0;
        match tape.below(6) {
            0 => script.take([0, 0, 1, 4, 1000, 20_000][tape.below(6)]),
            1 => {
                connection.ready(&shared, event);
            }
            2 => {
                let outcome = connection.flush_wait(&shared, None);
                assert!(
                    matches!(outcome.result, Ok(0) | Err(Error::TimedOut)),
                    "{:?}",
                    outcome.result
                );
            }
            choice => {
                let sent = body(
                    LENGTHS[tape.below(LENGTHS.len() - if cfg!(miri) { 5 } else { 1 })],
                    seed,
                );
                seed += 1;
                let fds = [&fd, &fd];
                let fds = if choice == 3 { &fds[..] } else { &[] };
                if !fds.is_empty() {
                    records.push((wire.len(), fds.len()));
                    wire.push(fds.len() as u8);
                }
                wire.extend_from_slice(Header::encode(sent.len() as u64).as_bytes());
                wire.extend_from_slice(&sent);
                let mut memory = Loan::of(sent);
                if tape.below(8) == 7 {
                    memory = memory.unholdable();
                }
                let range = 0..memory.contents().map_or(0, |bytes| bytes.len());
                let kept = memory.clone();
                let outcome = connection.send(&shared, Some(Message { memory, range }), fds, cork);
                assert!(outcome.result.is_ok());
                assert_eq!(outcome.queued, wire.len() as u64);
                let done = outcome.result == Ok(0);
                if tape.below(3) == 0 && !done {
                    // Who blocks and has no time gets his memory back.
                    script.take(0);
                    script.take(0);
                    let waited = connection.flush_wait(&shared, None);
                    if waited.result == Err(Error::TimedOut) {
                        kept.scribble();
                    }
                }
            }
        }
    }
    script.relent();
    for _ in 0..20 {
        shared.turn.set(shared.turn.get() + 1);
        connection.ready(&shared, event);
        connection.flush(&shared);
    }
    assert_eq!(connection.flush_wait(&shared, None).result, Ok(0));
    let (output, sent) = script.output();
    assert!(output == wire, "the peer has other bytes");
    assert_eq!(sent, records);
    assert_eq!(connection.queued_length(), 0);
    drop(connection.into_transport(&shared));
    drop(fd);
    assert_eq!(script.open(), 0, "every descriptor is closed");
    assert_eq!(shared.active(), 0, "nothing keeps the process alive");
}
