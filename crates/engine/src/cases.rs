//! Single cases of a connection over a scripted transport, each of which went wrong before the engine was there.

use fdwire_ancillary::Errno;
use fdwire_framing::Header;
use fdwire_multiplexer::{Event, Token};

use crate::connection::{Connection, Message, Slots, Wait};
use crate::outcome::{Error, Outcome, Place};
use crate::scripted::{Descriptor, Loan, Script, Unit};
use crate::settings::Settings;
use crate::shared::Shared;

struct Case {
    script: Script,
    shared: Shared<Loan>,
    connection: Connection<Script, Loan>,
}

fn case() -> Case {
    case_with(false)
}

fn case_with(acknowledge: bool) -> Case {
    let script = Script::new();
    let settings = Settings {
        max_message_size: 1 << 30,
        read_ahead: true,
        acknowledge,
        no_delay: false,
    };
    Case {
        connection: Connection::new(script.clone(), Token(1), settings),
        script,
        shared: Shared::without_reactor(),
    }
}

fn frame(length: usize) -> Vec<u8> {
    let mut bytes = Header::encode(length as u64).as_bytes().to_vec();
    bytes.resize(bytes.len() + length, 7);
    bytes
}

fn unit(bytes: Vec<u8>, fds: usize) -> Unit {
    Unit {
        bytes,
        fds,
        lost: false,
    }
}

/// The memory of a slab, and the lengths in it.
type Slab = (Vec<u8>, [u32; 8]);

impl Case {
    fn receive_once(&mut self, (memory, lengths): &mut Slab, offer: Option<Loan>) -> Outcome<Loan, Descriptor> {
        let slots = Slots { memory, lengths };
        let Case { connection, shared, .. } = self;
        connection.receive(shared, slots, u64::MAX, Wait::Reported, offer)
    }

    /// Receives, with the memory that is asked for.
    fn receive(&mut self) -> Outcome<Loan, Descriptor> {
        let mut slab = (vec![0; 4096], [0; 8]);
        let mut offer = None;
        loop {
            match self.receive_once(&mut slab, offer) {
                Outcome {
                    result: Err(Error::NeedMemory { length }),
                    ..
                } => offer = Some(Loan::new(length as usize, true)),
                outcome => return outcome,
            }
        }
    }

    fn readable(&mut self) -> bool {
        let event = Event {
            token: Token(1),
            readable: true,
            read_closed: false,
            writable: false,
        };
        self.connection.ready(&self.shared, event).readable
    }

    fn send(&mut self, length: usize, fds: &[&Descriptor]) -> Outcome<Loan, Descriptor> {
        let message = Message {
            memory: Loan::of(vec![7; length]),
            range: 0..length,
        };
        self.connection.send(&self.shared, Some(message), fds, false)
    }
}

#[test]
fn lost_descriptors_are_told_at_every_size_and_nothing_else_is() {
    for length in [0, 100, 4096, 5000, 16 * 1024, 40_000, 70_000] {
        let mut case = case();
        case.script.push(Unit {
            bytes: vec![1],
            fds: 1,
            lost: true,
        });
        case.script.push(unit(frame(length), 0));
        case.script.push(unit(vec![2], 2));
        case.script.push(unit(frame(length), 0));
        assert_eq!(case.receive().result, Err(Error::DescriptorsTruncated), "{length}");
        let next = case.receive();
        assert_eq!(
            (next.result, next.length, next.descriptors.len()),
            (Ok(1), length as u64, 2)
        );
    }
}

#[test]
fn more_descriptors_than_the_bound_are_a_protocol_error_whatever_came_in_one_read() {
    let mut case = case();
    for count in [253, 253, 253, 252] {
        case.script.push(unit(vec![count as u8], count));
    }
    case.script.push(unit(frame(100), 253));
    assert_eq!(case.receive().result, Err(Error::ProtocolError));
    assert_eq!(case.script.open(), 0);
    case.script.push(unit(frame(1), 0));
    assert_eq!(case.receive().result, Err(Error::ProtocolError));
}

#[test]
fn a_record_that_does_not_fit_its_count_is_told_behind_the_message_it_came_with() {
    let mut case = case();
    // Both are in the decoder before the first is taken.
    case.script.push(unit(vec![1], 1));
    case.script.push(unit(frame(10), 0));
    case.script.push(unit(vec![9], 2));
    case.script.push(unit(frame(20), 0));
    let first = case.receive();
    assert_eq!((first.length, first.descriptors.len()), (10, 1));
    assert!(!case.connection.has_read_ahead() || case.connection.snapshot().is_some());
    assert_eq!(case.receive().result, Err(Error::DescriptorCount { received: 2 }));
    let next = case.receive();
    assert_eq!((next.result, next.length, next.descriptors.len()), (Ok(1), 20, 0));
    drop(first);
    assert_eq!(case.script.open(), 0);
}

#[test]
fn an_error_inside_a_body_is_told_and_the_body_goes_on_where_it_was() {
    let mut case = case();
    let mut bytes = frame(100_000);
    let rest = bytes.split_off(50_000);
    case.script.push(unit(bytes, 0));
    assert_eq!(case.receive().result, Err(Error::WouldBlock));
    case.script.fail_read(Errno::ENOMEM);
    assert!(case.readable());
    assert_eq!(case.receive().result, Err(Error::system("recvmsg", Errno::ENOMEM)));
    case.script.push(unit(rest, 0));
    case.readable();
    let whole = case.receive();
    assert_eq!((whole.result, whole.length), (Ok(1), 100_000));
    let Place::Kept(memory) = whole.place else {
        panic!("it was in memory that is held")
    };
    assert_eq!(memory.contents(), Some(vec![7; 100_000]));
}

#[test]
fn a_receive_that_cannot_be_watched_keeps_nothing_alive() {
    let mut case = case();
    // The first attempt finds nothing, and the second is to be reported.
    case.script.fail_register(Errno::ENOSPC);
    assert_eq!(case.receive().result, Err(Error::system("epoll_ctl", Errno::ENOSPC)));
    assert_eq!(case.shared.active(), 0);
    assert_eq!(case.receive().result, Err(Error::WouldBlock));
    assert_eq!(case.shared.active(), 1);
    case.connection.forget_read(&case.shared);
    assert_eq!(case.shared.active(), 0);
}

#[test]
fn connections_that_fail_in_one_turn_tell_their_own_errors() {
    let (mut one, mut other) = (case(), case());
    one.script.fail_write(Errno::EPIPE);
    other.script.fail_write(Errno::ECONNRESET);
    let (first, second) = (one.send(10, &[]), other.send(10, &[]));
    assert_eq!(first.result, Err(Error::system("sendmsg", Errno::EPIPE)));
    assert_eq!(second.result, Err(Error::system("sendmsg", Errno::ECONNRESET)));
}

#[test]
fn a_queued_body_that_vanished_ends_the_stream_before_its_header_is_followed_by_others() {
    let mut case = case();
    case.script.take(0);
    let memory = Loan::of(vec![7; 100_000]);
    let message = Message {
        memory: memory.clone(),
        range: 0..100_000,
    };
    assert_eq!(
        case.connection.send(&case.shared, Some(message), &[], false).result,
        Ok(1)
    );
    memory.vanish();
    assert_eq!(
        case.connection.flush_wait(&case.shared, None).result,
        Err(Error::system("sendmsg", Errno::EFAULT))
    );
    assert!(case.send(10, &[]).result.is_err());
    let (output, _) = case.script.output();
    assert!(output.len() <= 4, "no byte of another message follows the header");
}

#[test]
fn descriptors_that_wait_for_an_acknowledgement_are_held_until_then() {
    let mut case = case_with(true);
    let descriptor = case.script.descriptor();
    case.send(10, &[&descriptor]);
    drop(descriptor);
    assert_eq!(case.script.open(), 1);
    case.script.push(unit(b"A".to_vec(), 0));
    case.script.push(unit(frame(3), 0));
    assert_eq!(case.receive().length, 3);
    assert_eq!(case.script.open(), 0);
}

#[test]
fn records_that_arrive_are_acknowledged_once_each() {
    let mut case = case_with(true);
    case.script.push(unit(vec![1], 1));
    case.script.push(unit(vec![2], 2));
    case.script.push(unit(frame(5), 0));
    assert_eq!(case.receive().descriptors.len(), 3);
    assert_eq!(case.script.output().0, b"AA");
}
