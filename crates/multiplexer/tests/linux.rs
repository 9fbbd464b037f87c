//! What holds on Linux only.
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, but not in what they call
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use fdwire_multiplexer::{
    EVENT_PRIORITY, EVENT_READ, Error, Interest, Kqueue, Options, Reactor, RegularFiles, Selector, Token, select,
};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use util::{NOW, number, pair};

mod util;

#[test]
fn the_reactors_errors_are_epolls() {
    let reactor = Reactor::new().unwrap();
    let file = File::open("/proc/self/exe").unwrap();
    let (near, _far) = pair();
    let errno = |result: Result<(), Error>| result.unwrap_err().errno();
    assert_eq!(
        errno(reactor.register(file.as_fd(), Token(1), Interest::Read)),
        Errno::EPERM
    );
    reactor.register(near.as_fd(), Token(1), Interest::Read).unwrap();
    assert_eq!(
        errno(reactor.register(near.as_fd(), Token(2), Interest::Read)),
        Errno::EEXIST
    );
    reactor.deregister(near.as_fd()).unwrap();
    assert_eq!(errno(reactor.deregister(near.as_fd())), Errno::ENOENT);
}

#[test]
fn kqueue_is_missing() {
    assert_eq!(Kqueue::new().unwrap_err(), Error::Unsupported("kqueue"));
    assert_eq!(Kqueue::new().unwrap_err().errno(), Errno::ENOTSUP);
    let (near, _far) = pair();
    assert_eq!(Kqueue::from_fd(near.into()).unwrap_err(), Error::Unsupported("kqueue"));
}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn urgent_data_is_a_priority_event_and_an_exceptional_condition() {
    let (near, mut far) = tcp();
    far.set_nodelay(true).unwrap();
    let options = Options {
        priority: true,
        ..Options::default()
    };
    let mut selector = Selector::new(RegularFiles::Refuse).unwrap();
    selector.register(number(&near), 0, options).unwrap();
    far.write_all(b"plain").unwrap();
    send(number(&far), b"!", MsgFlags::MSG_OOB).unwrap();
    assert_eq!(selector.wait(None).unwrap(), [(number(&near), EVENT_PRIORITY)]);
    assert_eq!(select(&[], &[], &[number(&near)], None).unwrap().except, [0]);
    selector.modify(number(&near), EVENT_READ, options).unwrap();
    assert_eq!(
        selector.wait(None).unwrap(),
        [(number(&near), EVENT_READ | EVENT_PRIORITY)]
    );
}

#[test]
fn a_lost_peer_is_reported_as_urgent_when_nothing_else_was_asked_for() {
    let (near, far) = pair();
    let options = Options {
        priority: true,
        ..Options::default()
    };
    let mut selector = Selector::new(RegularFiles::Refuse).unwrap();
    selector.register(number(&near), 0, options).unwrap();
    drop(far);
    assert_eq!(selector.wait(None).unwrap(), [(number(&near), EVENT_PRIORITY)]);
}

#[test]
fn what_the_kernel_refuses_to_modify_is_not_watched_any_more() {
    let (near, _far) = pair();
    let mut selector = Selector::new(RegularFiles::Refuse).unwrap();
    selector
        .register(number(&near), EVENT_READ, Options::default())
        .unwrap();
    let both = Options {
        exclusive: true,
        oneshot: true,
        ..Options::default()
    };
    assert_eq!(
        selector.modify(number(&near), EVENT_READ, both).unwrap_err().errno(),
        Errno::EINVAL
    );
    assert_eq!(selector.unregister(number(&near)).unwrap_err().errno(), Errno::ENOENT);
    assert_eq!(
        selector.register(number(&near), EVENT_READ, both).unwrap_err().errno(),
        Errno::EINVAL
    );
    selector
        .register(number(&near), EVENT_READ, Options::default())
        .unwrap();
    assert_eq!(selector.wait(NOW).unwrap(), []);
}
