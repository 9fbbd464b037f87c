//! `Kqueue` against the kernel.
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, but not in what they call
#![cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
))]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use fdwire_multiplexer::{Epoll, Error, KEvent, KQUEUE_CONSTANTS, Kqueue};
use nix::errno::Errno;
use util::{NOW, inheritable, number, pair, readable, receive, send};

mod util;

fn constant(name: &str) -> i64 {
    KQUEUE_CONSTANTS.iter().find(|(other, _)| *other == name).unwrap().1
}

fn event(ident: usize, filter: &str, flags: &[&str]) -> KEvent {
    KEvent {
        ident,
        filter: constant(filter) as i16,
        flags: flags.iter().fold(0, |flags, name| flags | constant(name) as u16),
        udata: 7,
        ..KEvent::default()
    }
}

#[test]
fn changes_are_applied_and_events_come_back() {
    let queue = Kqueue::new().unwrap();
    let (near, far) = pair();
    let ident = number(&near) as usize;
    let add = [
        event(ident, "KQ_FILTER_READ", &["KQ_EV_ADD"]),
        event(ident, "KQ_FILTER_WRITE", &["KQ_EV_ADD", "KQ_EV_CLEAR"]),
    ];
    assert_eq!(queue.control(&add, 0, None).unwrap(), []);
    let events = queue.control(&[], 4, None).unwrap();
    assert!(
        events
            .iter()
            .all(|event| (event.ident, event.filter, event.udata) == (ident, add[1].filter, 7))
    );
    send(&far);
    for _ in 0..2 {
        let events = queue.control(&[], 4, None).unwrap();
        assert!(
            events
                .iter()
                .any(|event| event.filter == add[0].filter && event.data == 1)
        );
    }
    receive(&near);
    let delete = [
        event(ident, "KQ_FILTER_READ", &["KQ_EV_DELETE"]),
        event(ident, "KQ_FILTER_WRITE", &["KQ_EV_DELETE"]),
    ];
    queue.control(&delete, 0, NOW).unwrap();
    send(&far);
    assert_eq!(queue.control(&[], 4, NOW).unwrap(), []);
}

#[test]
fn a_failed_change_is_an_event_or_an_error() {
    let queue = Kqueue::new().unwrap();
    let unknown = [event(0, "KQ_FILTER_READ", &["KQ_EV_DELETE"])];
    let events = queue.control(&unknown, 1, NOW).unwrap();
    assert_eq!(events[0].data, i64::from(libc::ENOENT));
    assert_eq!(queue.control(&unknown, 0, NOW).unwrap_err().errno(), Errno::ENOENT);
}

#[test]
fn a_wait_never_ends_early() {
    let queue = Kqueue::new().unwrap();
    let timeout = Duration::from_micros(10_300);
    let start = Instant::now();
    assert_eq!(queue.control(&[], 1, Some(timeout)).unwrap(), []);
    assert!(start.elapsed() >= timeout);
}

#[test]
fn the_queue_is_a_descriptor_like_any_other() {
    let queue = Kqueue::new().unwrap();
    let (near, far) = pair();
    assert!(!inheritable(&queue));
    let copy = Kqueue::from_fd(queue.as_fd().try_clone_to_owned().unwrap()).unwrap();
    copy.control(
        &[event(number(&near) as usize, "KQ_FILTER_READ", &["KQ_EV_ADD"])],
        0,
        None,
    )
    .unwrap();
    send(&far);
    assert!(readable(&queue));
}

#[test]
fn epoll_is_missing() {
    assert_eq!(Epoll::new().unwrap_err(), Error::Unsupported("epoll"));
}
