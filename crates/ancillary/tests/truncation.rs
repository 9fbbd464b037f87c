//! Out of descriptors (`EMFILE`): what came is closed and the stream goes on. A binary of its own, with one test at a
//! time: the limit is the process's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod util;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fdwire_ancillary::{ControlBuffer, Target, duplicate, pair, receive_message};
use util::{copies, get, open_descriptors, put};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Taken by each test before it opens anything: another's limit would hit it.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `body` with exactly `free` descriptors left.
fn with_descriptors_left(free: usize, body: impl FnOnce()) {
    let old = limit();
    set_limit(libc::rlimit { rlim_cur: 128, ..old });
    let mut fillers: Vec<OwnedFd> = Vec::new();
    while let Ok(filler) = duplicate(std::io::stdin().as_fd()) {
        fillers.push(filler);
    }
    fillers.truncate(fillers.len() - free);
    body();
    drop(fillers);
    set_limit(old);
}

fn limit() -> libc::rlimit {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a writable rlimit.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    limit
}

fn set_limit(limit: libc::rlimit) {
    // SAFETY: `limit` is a readable rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

#[test]
fn a_message_that_loses_descriptors_delivers_none_and_the_stream_goes_on() {
    let _guard = one_at_a_time();
    let (left, right) = pair().unwrap();
    put(&left, b"eight", &copies(&left, 8));
    put(&left, b"one", &copies(&left, 1));
    with_descriptors_left(5, || {
        let before = open_descriptors();
        let (bytes, received) = get(&right, 100);
        assert_eq!(bytes, b"eight");
        assert!(received.truncated && received.control && received.fds.is_empty());
        assert_eq!(open_descriptors(), before);

        let (bytes, received) = get(&right, 100);
        assert_eq!(bytes, b"one");
        assert!(!received.truncated && received.fds.len() == 1);
    });
}

#[test]
fn not_one_descriptor_left_is_a_truncation_too() {
    let _guard = one_at_a_time();
    let (left, right) = pair().unwrap();
    put(&left, b"one", &copies(&left, 1));
    with_descriptors_left(0, || {
        let (bytes, received) = get(&right, 100);
        assert_eq!(bytes, b"one");
        assert!(received.truncated && received.fds.is_empty());
    });
}

#[test]
fn receive_message_hands_out_what_came_beside_the_flag() {
    let _guard = one_at_a_time();
    let (left, right) = pair().unwrap();
    put(&left, b"x", &copies(&left, 8));
    with_descriptors_left(5, || {
        let mut byte = [0];
        let mut buffers = [Target::new(&mut byte)];
        let message = receive_message(right.as_fd(), &mut buffers, &mut ControlBuffer::new(), 8, 0).unwrap();
        assert!(message.flags & libc::MSG_CTRUNC != 0);
        // Linux installs as many as it can, others none.
        assert!(message.fds.len() <= 5);
    });
}
