//! `Epoll` against the kernel: exact masks, exact errors.
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, but not in what they call
#![cfg(target_os = "linux")]

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use fdwire_multiplexer::{EPOLL_CONSTANTS, Epoll};
use nix::errno::Errno;
use util::{NOW, at, drain, fill, inheritable, number, pair, readable, send};

mod util;

const IN: u32 = libc::EPOLLIN as u32;
const OUT: u32 = libc::EPOLLOUT as u32;
const HUP: u32 = libc::EPOLLHUP as u32;
const RDHUP: u32 = libc::EPOLLRDHUP as u32;
const EXCLUSIVE: u32 = libc::EPOLLEXCLUSIVE as u32;
const ONESHOT: u32 = libc::EPOLLONESHOT as u32;
const ET: u32 = libc::EPOLLET as u32;

#[test]
fn level_reports_what_is() {
    let epoll = Epoll::new().unwrap();
    let (near, far) = pair();
    epoll.register(number(&near), IN | OUT).unwrap();
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), OUT)]);
    send(&far);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), IN | OUT)]);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), IN | OUT)]);
    epoll.modify(number(&near), IN).unwrap();
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), IN)]);
    drain(&near);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), []);
    epoll.unregister(number(&near)).unwrap();
    send(&far);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), []);
}

#[test]
fn edge_reports_changes() {
    let epoll = Epoll::new().unwrap();
    let (near, far) = pair();
    epoll.register(number(&near), IN | ET).unwrap();
    send(&far);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), IN)]);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), []);
    send(&far);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), IN)]);
}

#[test]
fn oneshot_reports_once_until_modified() {
    let epoll = Epoll::new().unwrap();
    let (near, far) = pair();
    epoll.register(number(&near), IN | ONESHOT).unwrap();
    send(&far);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), IN)]);
    send(&far);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), []);
    epoll.modify(number(&near), IN | ONESHOT).unwrap();
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), IN)]);
}

#[test]
fn exclusive_works_and_cannot_be_modified() {
    let epoll = Epoll::new().unwrap();
    let (near, far) = pair();
    epoll.register(number(&near), IN | EXCLUSIVE).unwrap();
    send(&far);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), IN)]);
    assert_eq!(epoll.modify(number(&near), OUT).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn hangups_come_unasked_and_the_peers_end_when_asked() {
    let epoll = Epoll::new().unwrap();
    let (near, far) = pair();
    epoll.register(number(&near), RDHUP).unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), RDHUP)]);
    drop(far);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), RDHUP | HUP)]);
}

#[test]
fn a_full_socket_is_not_writable() {
    let epoll = Epoll::new().unwrap();
    let (near, far) = pair();
    fill(&near);
    epoll.register(number(&near), OUT).unwrap();
    assert_eq!(epoll.poll(NOW, 8).unwrap(), []);
    drain(&far);
    assert_eq!(epoll.poll(NOW, 8).unwrap(), [(number(&near), OUT)]);
}

#[test]
fn errors_are_the_kernels() {
    let epoll = Epoll::new().unwrap();
    let (near, _far) = pair();
    let file = File::open("/proc/self/exe").unwrap();
    let closed = number(&at(400, &near));
    let errno = |result: Result<(), fdwire_multiplexer::Error>| result.unwrap_err().errno();
    epoll.register(number(&near), IN).unwrap();
    assert_eq!(errno(epoll.register(number(&near), IN)), Errno::EEXIST);
    assert_eq!(errno(epoll.register(number(&file), IN)), Errno::EPERM);
    assert_eq!(errno(epoll.register(number(&epoll.as_fd()), IN)), Errno::EINVAL);
    assert_eq!(errno(epoll.modify(number(&file), IN)), Errno::EPERM);
    epoll.unregister(number(&near)).unwrap();
    assert_eq!(errno(epoll.modify(number(&near), IN)), Errno::ENOENT);
    assert_eq!(errno(epoll.unregister(number(&near))), Errno::ENOENT);
    for fd in [closed, -1, i32::MIN, i32::MAX] {
        assert_eq!(errno(epoll.register(fd, IN)), Errno::EBADF);
        assert_eq!(errno(epoll.unregister(fd)), Errno::EBADF);
    }
    assert_eq!(epoll.poll(NOW, 0).unwrap_err().errno(), Errno::EINVAL);
    assert_eq!(
        epoll.register(closed, IN).unwrap_err().to_string(),
        "epoll_ctl: EBADF: Bad file number"
    );
}

#[test]
fn at_most_max_events_come_at_a_time() {
    let epoll = Epoll::new().unwrap();
    let pairs: Vec<_> = (0..5).map(|_| pair()).collect();
    for (near, _) in &pairs {
        epoll.register(number(near), OUT).unwrap();
    }
    assert_eq!(epoll.poll(NOW, 3).unwrap().len(), 3);
    assert_eq!(epoll.poll(NOW, usize::MAX).unwrap().len(), 5);
}

#[test]
fn a_wait_never_ends_early() {
    let epoll = Epoll::new().unwrap();
    let timeout = Duration::from_micros(10_300);
    let start = Instant::now();
    assert_eq!(epoll.poll(Some(timeout), 1).unwrap(), []);
    assert!(start.elapsed() >= timeout);
}

#[test]
fn a_wait_without_a_timeout_lasts_until_something_happens() {
    let epoll = Epoll::new().unwrap();
    let (near, far) = pair();
    epoll.register(number(&near), IN).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| epoll.poll(None, 1).unwrap());
        send(&far);
        assert_eq!(waiter.join().unwrap(), [(number(&near), IN)]);
    });
}

#[test]
fn the_instance_is_a_descriptor_like_any_other() {
    let epoll = Epoll::new().unwrap();
    let (near, far) = pair();
    assert!(!inheritable(&epoll));
    epoll.register(number(&near), IN).unwrap();
    let copy = Epoll::from_fd(epoll.as_fd().try_clone_to_owned().unwrap()).unwrap();
    assert!(!readable(&epoll));
    send(&far);
    assert!(readable(&epoll));
    assert_eq!(copy.poll(NOW, 1).unwrap(), [(number(&near), IN)]);

    let wrong = Epoll::from_fd(near.into()).unwrap();
    assert_eq!(wrong.poll(NOW, 1).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn the_constants_are_the_headers() {
    let expected = [
        ("EPOLLIN", libc::EPOLLIN),
        ("EPOLLPRI", libc::EPOLLPRI),
        ("EPOLLOUT", libc::EPOLLOUT),
        ("EPOLLERR", libc::EPOLLERR),
        ("EPOLLHUP", libc::EPOLLHUP),
        ("EPOLLRDNORM", libc::EPOLLRDNORM),
        ("EPOLLRDBAND", libc::EPOLLRDBAND),
        ("EPOLLWRNORM", libc::EPOLLWRNORM),
        ("EPOLLWRBAND", libc::EPOLLWRBAND),
        ("EPOLLMSG", libc::EPOLLMSG),
        ("EPOLLRDHUP", libc::EPOLLRDHUP),
        ("EPOLLEXCLUSIVE", libc::EPOLLEXCLUSIVE),
        ("EPOLLWAKEUP", libc::EPOLLWAKEUP),
        ("EPOLLONESHOT", libc::EPOLLONESHOT),
        ("EPOLLET", libc::EPOLLET),
    ];
    assert_eq!(EPOLL_CONSTANTS, expected.map(|(name, value)| (name, value as u32)));
}
