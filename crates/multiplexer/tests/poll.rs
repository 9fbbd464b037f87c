//! `Poll` and `select` as Python's test_poll and test_select have them.
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, but not in what they call

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use fdwire_multiplexer::{POLL_CONSTANTS, Poll, Selected, select};
use libc::{POLLHUP, POLLIN, POLLNVAL, POLLOUT};
use nix::errno::Errno;
use util::{NOW, at, fill, number, pair, send};

mod util;

fn selected(read: &[usize], write: &[usize], except: &[usize]) -> Selected {
    Selected {
        read: read.into(),
        write: write.into(),
        except: except.into(),
    }
}

#[test]
fn registering_again_replaces() {
    let mut poll = Poll::new();
    let (near, far) = pair();
    send(&far);
    poll.register(number(&near), POLLIN | POLLOUT).unwrap();
    assert_eq!(poll.poll(NOW).unwrap(), [(number(&near), POLLIN | POLLOUT)]);
    poll.register(number(&near), POLLOUT).unwrap();
    assert_eq!(poll.poll(NOW).unwrap(), [(number(&near), POLLOUT)]);
    poll.modify(number(&near), POLLIN).unwrap();
    assert_eq!(poll.poll(NOW).unwrap(), [(number(&near), POLLIN)]);
    poll.unregister(number(&near)).unwrap();
    assert_eq!(poll.poll(NOW).unwrap(), []);
}

#[test]
fn an_unknown_descriptor_is_enoent() {
    let mut poll = Poll::new();
    assert_eq!(poll.modify(3, POLLIN).unwrap_err().errno(), Errno::ENOENT);
    assert_eq!(poll.unregister(3).unwrap_err().errno(), Errno::ENOENT);
    assert_eq!(poll.register(-1, POLLIN).unwrap_err().errno(), Errno::EBADF);
}

#[test]
fn a_closed_descriptor_is_reported_not_refused() {
    let mut poll = Poll::new();
    let (near, far) = pair();
    let closed = number(&at(410, &near));
    poll.register(closed, POLLIN).unwrap();
    poll.register(number(&near), POLLIN).unwrap();
    assert_eq!(poll.poll(None).unwrap(), [(closed, POLLNVAL)]);
    send(&far);
    assert_eq!(poll.poll(None).unwrap(), [(number(&near), POLLIN), (closed, POLLNVAL)]);
}

#[test]
fn a_hangup_comes_unasked() {
    let mut poll = Poll::new();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    poll.register(number(&reader), 0).unwrap();
    drop(writer);
    assert_eq!(poll.poll(None).unwrap(), [(number(&reader), POLLHUP)]);
}

#[test]
fn numbers_beyond_fd_setsize_work() {
    let beyond = 2000;
    let (near, far) = pair();
    let high = at(beyond, &near);
    send(&far);
    let mut poll = Poll::new();
    poll.register(number(&high), POLLIN).unwrap();
    assert_eq!(poll.poll(None).unwrap(), [(beyond, POLLIN)]);
    assert_eq!(select(&[beyond], &[], &[], None).unwrap(), selected(&[0], &[], &[]));
}

#[test]
fn a_wait_never_ends_early() {
    let timeout = Duration::from_micros(10_300);
    for wait in [
        |t| Poll::new().poll(t).map(drop),
        |t| select(&[], &[], &[], t).map(drop),
    ] {
        let start = Instant::now();
        wait(Some(timeout)).unwrap();
        assert!(start.elapsed() >= timeout);
    }
}

#[test]
fn select_reports_positions_and_duplicates() {
    let (idle, _idle_far) = pair();
    let (ready, far) = pair();
    send(&far);
    let read = [number(&ready), number(&idle), number(&ready)];
    let write = [number(&idle)];
    assert_eq!(
        select(&read, &write, &read, None).unwrap(),
        selected(&[0, 2], &[0], &[])
    );
    fill(&idle);
    assert_eq!(select(&[], &write, &[], NOW).unwrap(), Selected::default());
}

#[test]
fn select_refuses_closed_descriptors() {
    let (near, _far) = pair();
    let closed = number(&at(420, &near));
    for fd in [closed, -1, RawFd::MAX] {
        assert_eq!(
            select(&[number(&near)], &[fd], &[], None).unwrap_err().errno(),
            Errno::EBADF
        );
    }
}

#[test]
fn select_counts_the_end_as_readable_and_a_lost_reader_as_writable() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let (other_reader, other_writer) = nix::unistd::pipe().unwrap();
    drop(writer);
    drop(other_reader);
    let result = select(&[number(&reader)], &[number(&other_writer)], &[], None).unwrap();
    assert_eq!(result, selected(&[0], &[0], &[]));
}

#[test]
fn select_waits_on_where_poll_reports_what_was_not_asked() {
    let (hung_up, writer) = nix::unistd::pipe().unwrap();
    drop(writer);
    let timeout = Duration::from_millis(10);
    let start = Instant::now();
    assert_eq!(
        select(&[], &[], &[number(&hung_up)], Some(timeout)).unwrap(),
        Selected::default()
    );
    assert!(start.elapsed() >= timeout);

    let (near, far) = pair();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| select(&[number(&near)], &[], &[number(&hung_up)], None).unwrap());
        send(&far);
        assert_eq!(waiter.join().unwrap(), selected(&[0], &[], &[]));
    });
}

#[test]
fn constants_have_their_names() {
    for constant in [
        ("POLLIN", POLLIN),
        ("POLLOUT", POLLOUT),
        ("POLLHUP", POLLHUP),
        ("POLLNVAL", POLLNVAL),
    ] {
        assert!(POLL_CONSTANTS.contains(&constant));
    }
}
