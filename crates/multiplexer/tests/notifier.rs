//! A notifier says when to ask poll(2) again, and is silent in between.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;

use fdwire_multiplexer::Notifier;
use libc::{POLLIN, POLLOUT, POLLPRI};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[allow(clippy::unwrap_used)]
fn is_readable(notifier: &Notifier) -> bool {
    poll(
        &mut [PollFd::new(notifier.as_fd(), PollFlags::POLLIN)],
        PollTimeout::ZERO,
    )
    .unwrap()
        == 1
}

#[test]
fn it_is_readable_after_each_change_until_it_is_cleared() {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    let notifier = Notifier::new().unwrap();
    notifier.set(ours.as_raw_fd(), POLLIN).unwrap();
    assert!(!is_readable(&notifier));
    for _ in 0..3 {
        theirs.write_all(b"x").unwrap();
        assert!(is_readable(&notifier));
        notifier.clear().unwrap();
        assert!(!is_readable(&notifier), "what is unread is no news");
        ours.read_exact(&mut [0]).unwrap();
    }
}

#[test]
fn what_is_ready_already_is_news_once() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let notifier = Notifier::new().unwrap();
    notifier.set(ours.as_raw_fd(), POLLOUT).unwrap();
    assert!(is_readable(&notifier));
    notifier.clear().unwrap();
    notifier.set(ours.as_raw_fd(), POLLIN).unwrap();
    assert!(!is_readable(&notifier));
    notifier.remove(ours.as_raw_fd());
    drop(theirs);
    assert!(!is_readable(&notifier), "it was removed");
}

#[test]
fn a_hang_up_is_news_whatever_the_mask() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let notifier = Notifier::new().unwrap();
    notifier.set(ours.as_raw_fd(), 0).unwrap();
    drop(theirs);
    assert!(is_readable(&notifier));
}

#[test]
fn files_and_closed_descriptors_are_no_news() {
    let notifier = Notifier::new().unwrap();
    notifier.set(File::open("/").unwrap().as_raw_fd(), POLLPRI).unwrap();
    let (closed, _other) = UnixStream::pair().unwrap();
    let number = closed.into_raw_fd();
    // SAFETY: it was given up just now.
    drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(number) });
    notifier.set(number, POLLIN).unwrap();
    notifier.remove(number);
    assert!(!is_readable(&notifier));
}

#[test]
fn many_changes_are_cleared_at_once() {
    let pairs: Vec<_> = (0..1500).map_while(|_| UnixStream::pair().ok()).collect();
    let notifier = Notifier::new().unwrap();
    for (ours, _) in &pairs {
        notifier.set(ours.as_raw_fd(), POLLOUT).unwrap();
    }
    notifier.clear().unwrap();
    assert!(!is_readable(&notifier));
}
