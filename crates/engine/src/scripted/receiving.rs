//! Holds a connection against the simplest model of a stream: the messages sent, in their order. What happens is read from
//! a tape of bytes, so that proptest and a fuzzer can both write it. What is wrong panics.

use std::collections::VecDeque;

use fdwire_ancillary::Errno;
use fdwire_framing::Header;
use fdwire_multiplexer::{Event, Token};

use super::tape::{LENGTHS, Tape, body};
use super::transport::{Descriptor, Loan, Script, Unit};
use crate::connection::{Connection, Slots, Wait};
use crate::outcome::{Error, Outcome, Place};
use crate::settings::Settings;
use crate::shared::Shared;

/// The slab of small messages.
const SLAB: usize = 8 * 1024;

struct Sent {
    body: Vec<u8>,
    fds: usize,
    lost: bool,
}

/// Puts a message on the wire in pieces.
fn write(tape: &mut Tape<'_>, units: &mut VecDeque<Unit>, seed: usize) -> Sent {
    let lengths = if cfg!(miri) { LENGTHS.len() - 2 } else { LENGTHS.len() };
    let mut sent = Sent {
        body: body(LENGTHS[tape.below(lengths)], seed),
        fds: 0,
        lost: false,
    };
    let choice = tape.next();
    for _ in 0..choice % 3 {
        let fds = 1 + (choice >> 4) % 3;
        let lost = choice & 0x48 == 0x48;
        sent.fds += fds;
        sent.lost |= lost;
        units.push_back(Unit {
            bytes: vec![fds as u8],
            fds,
            lost,
        });
    }
    let mut frame = Header::encode(sent.body.len() as u64).as_bytes().to_vec();
    frame.extend_from_slice(&sent.body);
    let mut rest = &frame[..];
    while !rest.is_empty() {
        let most = [1, 3, 7, 100, 5000, 30_000, usize::MAX, usize::MAX][tape.below(8)];
        let (piece, left) = rest.split_at(most.min(rest.len()));
        let is_first = rest.len() == frame.len();
        // On a single byte they would make a record of it.
        let fds = if is_first && piece.len() > 8 && choice & 0x80 != 0 {
            2
        } else {
            0
        };
        sent.fds += fds;
        units.push_back(Unit {
            bytes: piece.to_vec(),
            fds,
            lost: false,
        });
        rest = left;
        if tape.is_over() && !rest.is_empty() {
            units.push_back(Unit {
                bytes: rest.to_vec(),
                ..Unit::default()
            });
            break;
        }
    }
    sent
}

struct Reader {
    connection: Connection<Script, Loan>,
    shared: Shared<Loan>,
    expected: VecDeque<Sent>,
    slab: Vec<u8>,
    lengths: [u32; 8],
    /// Memory that the engine asked for.
    wanted: Option<usize>,
    /// The caller's, who waits for a message in it.
    target: Option<Loan>,
    vanished: bool,
}

impl Reader {
    /// The message that was next, and is now here, or lost.
    fn check(&mut self, body: &[u8], fds: usize) {
        let Some(sent) = self.expected.pop_front() else {
            panic!("nothing was sent")
        };
        assert!(!sent.lost, "a message whose descriptors were lost is told as such");
        assert_eq!(body.len(), sent.body.len());
        assert!(body == sent.body, "the bytes are others");
        assert_eq!(fds, sent.fds);
    }

    /// Receives; true at the end.
    fn receive(&mut self, tape: &mut Tape<'_>, into: Option<usize>, wait: Wait) -> bool {
        let can_be_held = tape.below(8) != 7;
        let offer = self.wanted.take().map(|length| Loan::new(length, can_be_held));
        let Outcome {
            result,
            place,
            length,
            descriptors,
            ..
        } = match into {
            Some(size) => {
                let target = self.target.get_or_insert_with(|| Loan::new(size, can_be_held)).clone();
                self.connection.receive_into(&self.shared, target, wait, offer.clone())
            }
            None => {
                let slots = Slots {
                    memory: &mut self.slab,
                    lengths: &mut self.lengths,
                };
                self.connection
                    .receive(&self.shared, slots, u64::MAX, wait, offer.clone())
            }
        };
        if result != Err(Error::WouldBlock) && !matches!(result, Err(Error::NeedMemory { .. })) {
            // The receive is over: the memory is its caller's again, who does with it what he likes.
            if let Some(target) = self.target.take() {
                if matches!(place, Place::Nowhere) {
                    target.scribble();
                } else {
                    self.target = Some(target);
                }
            }
        }
        self.told(result, place, length, descriptors, offer)
    }

    fn told(
        &mut self,
        result: Result<i32, Error>,
        place: Place<Loan>,
        length: u64,
        descriptors: Vec<Descriptor>,
        offer: Option<Loan>,
    ) -> bool {
        match (result, place) {
            (Ok(_), Place::Slots(count)) => {
                let mut start = 0;
                let mut fds = descriptors.len();
                for index in 0..count {
                    let end = start + self.lengths[index] as usize;
                    let body = self.slab[start..end].to_vec();
                    self.check(&body, std::mem::take(&mut fds));
                    start = end.next_multiple_of(8);
                }
            }
            (Ok(_), Place::Target) => {
                let target = self.target.take().and_then(|target| target.contents());
                let target = target.expect("it is there, as the message is");
                self.check(&target[..length as usize], descriptors.len());
            }
            (Ok(_), Place::Offered) => {
                let body = offer.and_then(|offer| offer.contents()).expect("it was offered");
                self.target = None;
                self.check(&body, descriptors.len());
            }
            (Ok(_), Place::Kept(memory)) => {
                self.target = None;
                let body = memory.contents().expect("nobody else has it");
                self.check(&body, descriptors.len());
            }
            (Ok(_), Place::Nowhere) => panic!("a message is somewhere"),
            (Err(Error::NeedMemory { length }), _) => self.wanted = Some(length as usize),
            (Err(Error::DescriptorsTruncated), _) => {
                assert!(
                    self.expected.pop_front().is_some_and(|sent| sent.lost),
                    "none were lost"
                );
            }
            (Err(Error::MemoryGone), _) => {
                assert!(self.vanished, "no memory was taken away");
                self.expected.pop_front();
            }
            (Err(Error::EndOfStream), _) => return true,
            (Err(Error::WouldBlock | Error::TimedOut | Error::System { .. }), _) => {}
            (Err(error), _) => panic!("{error}"),
        }
        false
    }

    /// A turn of the event loop, in which there may be something to read.
    fn turn(&mut self, event: Event) {
        self.shared.turn.set(self.shared.turn.get() + 1);
        self.connection.ready(&self.shared, event);
    }

    fn leave(&mut self) {
        self.connection.leave();
        if let Some(target) = self.target.take() {
            target.scribble();
        }
    }
}

/// Receives what a peer wrote, whatever befalls the connection: each message is had whole, in order, or is told as lost.
pub fn receive(tape: &[u8]) {
    let mut tape = Tape(tape);
    let script = Script::new();
    let mut units = VecDeque::new();
    let expected = (0..1 + tape.below(5))
        .map(|seed| write(&mut tape, &mut units, seed))
        .collect();
    let settings = Settings {
        max_message_size: 1 << 30,
        read_ahead: tape.below(4) != 0,
        acknowledge: false,
        no_delay: false,
    };
    let token = Token(1);
    let mut reader = Reader {
        connection: Connection::new(script.clone(), token, settings),
        shared: Shared::without_reactor(),
        expected,
        slab: vec![0; SLAB],
        lengths: [0; 8],
        wanted: None,
        target: None,
        vanished: false,
    };
    let event = Event {
        token,
        readable: true,
        read_closed: false,
        writable: false,
    };
    while !tape.is_over() {
        let wait = if tape.below(4) == 0 {
            Wait::Until(None)
        } else {
            Wait::Reported
        };
        match tape.below(12) {
            0..3 => {
                if let Some(unit) = units.pop_front() {
                    script.push(unit);
                }
            }
            3 | 4 => {
                reader.turn(event);
            }
            5 => script.fail_read([Errno::ENOMEM, Errno::ECONNRESET, Errno::EAGAIN][tape.below(3)]),
            6 => script.fail_register(Errno::ENOSPC),
            7 => reader.leave(),
            8 => {
                if let Some(target) = &reader.target {
                    target.vanish();
                    reader.vanished = true;
                }
            }
            9 => {
                let size = [0, 200, 20_000, 100_000][tape.below(4)];
                reader.receive(&mut tape, Some(size), wait);
            }
            _ => {
                reader.leave();
                reader.receive(&mut tape, None, wait);
            }
        }
    }
    script.relent();
    units.into_iter().for_each(|unit| script.push(unit));
    script.end();
    reader.leave();
    let mut rounds = 0;
    loop {
        reader.turn(event);
        if reader.receive(&mut tape, None, Wait::Reported) {
            break;
        }
        rounds += 1;
        assert!(rounds < 1000, "it comes to an end");
    }
    assert!(reader.expected.is_empty(), "messages are missing");
    let Reader { connection, shared, .. } = reader;
    drop(connection.into_transport(&shared));
    assert_eq!(script.open(), 0, "every descriptor is closed");
    assert_eq!(shared.active(), 0, "nothing keeps the process alive");
}
