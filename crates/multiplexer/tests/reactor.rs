//! The reactor as the event loop sees it: what it reports, and when its descriptor is readable.
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, but not in what they call

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use fdwire_multiplexer::{Event, Interest, Reactor, Token};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

fn poll(reactor: &mut Reactor) -> Vec<Event> {
    let mut events = Vec::new();
    reactor.poll(&mut events).unwrap();
    events
}

fn readable(reactor: &Reactor) -> bool {
    nix::poll::poll(
        &mut [PollFd::new(reactor.as_fd(), PollFlags::POLLIN)],
        PollTimeout::ZERO,
    )
    .unwrap()
        == 1
}

fn event(token: usize, readable: bool, writable: bool) -> Event {
    Event {
        token: Token(token),
        readable,
        read_closed: false,
        writable,
    }
}

#[test]
fn nothing_registered_nothing_reported() {
    let mut reactor = Reactor::new().unwrap();
    assert!(!readable(&reactor));
    assert_eq!(poll(&mut reactor), []);
}

#[test]
fn input_is_reported_once_per_edge() {
    let mut reactor = Reactor::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    reactor.register(near.as_fd(), Token(5), Interest::Read).unwrap();
    assert_eq!(poll(&mut reactor), []);

    far.write_all(b"a").unwrap();
    assert!(readable(&reactor));
    assert_eq!(poll(&mut reactor), [event(5, true, false)]);
    assert!(!readable(&reactor));
    assert_eq!(poll(&mut reactor), []);

    far.write_all(b"b").unwrap();
    assert_eq!(poll(&mut reactor), [event(5, true, false)]);
}

#[test]
fn reregistering_reports_what_is_still_there() {
    let mut reactor = Reactor::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"a").unwrap();
    reactor.register(near.as_fd(), Token(1), Interest::Read).unwrap();
    assert_eq!(poll(&mut reactor), [event(1, true, false)]);
    reactor.reregister(near.as_fd(), Token(2), Interest::ReadWrite).unwrap();
    let events = poll(&mut reactor);
    assert!(events.iter().all(|event| event.token == Token(2)));
    assert!(events.iter().any(|event| event.readable) && events.iter().any(|event| event.writable));
}

#[test]
fn room_for_output_is_reported_after_a_full_socket_drains() {
    let mut reactor = Reactor::new().unwrap();
    let (mut near, mut far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    while near.write(&[0; 4096]).is_ok() {}
    reactor.register(near.as_fd(), Token(1), Interest::Write).unwrap();
    assert_eq!(poll(&mut reactor), []);
    let mut buffer = [0; 65536];
    while far.read(&mut buffer).is_ok() {}
    assert_eq!(poll(&mut reactor), [event(1, false, true)]);
}

#[test]
fn a_peer_that_sends_no_more_is_readable_and_closed() {
    let mut reactor = Reactor::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    reactor.register(near.as_fd(), Token(1), Interest::Read).unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(
        poll(&mut reactor)
            .iter()
            .any(|event| event.readable && event.read_closed)
    );
    drop(far);
    assert!(
        poll(&mut reactor)
            .iter()
            .any(|event| event.readable && event.read_closed)
    );
}

#[test]
fn a_resumed_source_does_not_lose_its_end() {
    let mut reactor = Reactor::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    reactor.register(near.as_fd(), Token(1), Interest::Read).unwrap();
    drop(far);
    reactor.resume(Token(1));
    let events = poll(&mut reactor);
    assert!(events.iter().any(|event| event.read_closed));
    assert!(events.iter().any(|event| event.readable && event.writable));
}

#[test]
fn a_writer_whose_reader_is_gone_is_writable() {
    let mut reactor = Reactor::new().unwrap();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    reactor.register(writer.as_fd(), Token(1), Interest::Write).unwrap();
    assert!(poll(&mut reactor).iter().any(|event| event.writable));
}

#[test]
fn a_deregistered_source_is_silent() {
    let mut reactor = Reactor::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    reactor.register(near.as_fd(), Token(1), Interest::Read).unwrap();
    far.write_all(b"a").unwrap();
    reactor.deregister(near.as_fd()).unwrap();
    assert!(!readable(&reactor));
    assert_eq!(poll(&mut reactor), []);
}

#[test]
fn resumed_tokens_come_exactly_once() {
    let mut reactor = Reactor::new().unwrap();
    for token in [3, 1, 3, 2, 1] {
        reactor.resume(Token(token));
    }
    assert!(readable(&reactor));
    assert_eq!(
        poll(&mut reactor),
        [event(1, true, true), event(2, true, true), event(3, true, true)]
    );
    assert!(!readable(&reactor));
    assert_eq!(poll(&mut reactor), []);

    reactor.resume(Token(3));
    assert!(readable(&reactor));
    assert_eq!(poll(&mut reactor), [event(3, true, true)]);
}

#[test]
fn a_token_resumed_while_its_source_is_ready_comes_once() {
    let mut reactor = Reactor::new().unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    reactor.register(near.as_fd(), Token(1), Interest::Read).unwrap();
    far.write_all(b"a").unwrap();
    reactor.resume(Token(1));
    assert_eq!(poll(&mut reactor), [event(1, true, true)]);
}

#[test]
fn more_sources_than_one_poll_takes_are_reported_in_the_next() {
    let mut reactor = Reactor::new().unwrap();
    let pairs: Vec<_> = (0..300).map(|_| UnixStream::pair().unwrap()).collect();
    for (token, (near, far)) in pairs.iter().enumerate() {
        reactor.register(near.as_fd(), Token(token), Interest::Read).unwrap();
        (&*far).write_all(b"a").unwrap();
    }
    let mut tokens = Vec::new();
    while readable(&reactor) {
        tokens.extend(poll(&mut reactor).iter().map(|event| event.token.0));
    }
    tokens.sort_unstable();
    assert_eq!(tokens, (0..300).collect::<Vec<_>>());
}

#[test]
fn the_reserved_token_is_refused() {
    let reactor = Reactor::new().unwrap();
    let (near, _far) = UnixStream::pair().unwrap();
    let error = reactor
        .register(near.as_fd(), Token(usize::MAX), Interest::Read)
        .unwrap_err();
    assert_eq!(error.errno(), Errno::EINVAL);
}

#[test]
fn events_are_appended() {
    let mut reactor = Reactor::new().unwrap();
    let mut events = vec![event(9, true, false)];
    reactor.resume(Token(1));
    reactor.poll(&mut events).unwrap();
    assert_eq!(events, [event(9, true, false), event(1, true, true)]);
}
