//! No descriptor is left open. A binary of its own, with one test at a time: the descriptor table is the process's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod util;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use fdwire_ancillary::{
    Address, ControlBuffer, MAX_FDS, Source, Target, accept, bind_file, connect, is_stale, listen, pair, pipe,
    receive_message, send, stream_socket,
};
use util::{copies, get, open_descriptors, put};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `body` twice, the second time against the count: the first may open what the libraries keep.
fn assert_leaves_nothing_open(body: impl Fn()) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    body();
    let before = open_descriptors();
    body();
    assert_eq!(open_descriptors(), before);
}

#[test]
fn received_descriptors_close_with_the_message() {
    assert_leaves_nothing_open(|| {
        let (left, right) = pair().unwrap();
        put(&left, b"x", &copies(&left, MAX_FDS));
        assert_eq!(get(&right, 1).1.fds.len(), MAX_FDS);
    });
}

#[test]
fn descriptors_over_the_maximum_are_closed() {
    assert_leaves_nothing_open(|| {
        let (left, right) = pair().unwrap();
        put(&left, b"x", &copies(&left, 10));
        let mut byte = [0];
        let mut buffers = [Target::new(&mut byte)];
        let message = receive_message(right.as_fd(), &mut buffers, &mut ControlBuffer::new(), 2, 0).unwrap();
        assert_eq!(message.fds.len(), 2);
    });
}

#[test]
fn peeked_descriptors_are_closed() {
    assert_leaves_nothing_open(|| {
        let (left, right) = pair().unwrap();
        put(&left, b"x", &copies(&left, 3));
        for flags in [libc::MSG_PEEK, libc::MSG_PEEK, 0] {
            let mut byte = [0];
            let mut buffers = [Target::new(&mut byte)];
            receive_message(right.as_fd(), &mut buffers, &mut ControlBuffer::new(), 1, flags).unwrap();
        }
    });
}

#[test]
fn descriptors_that_nobody_receives_are_closed() {
    assert_leaves_nothing_open(|| {
        let (left, _right) = pair().unwrap();
        let (reader, _writer) = pipe().unwrap();
        put(&left, b"x", &copies(&reader, 10));
    });
}

#[test]
fn a_refused_send_keeps_nothing() {
    assert_leaves_nothing_open(|| {
        let (left, _right) = pair().unwrap();
        // SAFETY: no descriptor has this number, so none is used that is not ours.
        let closed = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
        send(left.as_fd(), &[Source::new(b"x")], &[left.as_fd(), closed], false).unwrap_err();
        send(left.as_fd(), &[Source::new(b"x")], &copies(&left, MAX_FDS + 1), false).unwrap_err();
    });
}

#[test]
fn connecting_accepting_and_probing_keep_nothing() {
    assert_leaves_nothing_open(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let address = Address::Unix(path.clone().into_os_string().into_encoded_bytes());
        let listener = stream_socket(&address, true).unwrap();
        let _file = bind_file(listener.as_fd(), &path, None).unwrap();
        listen(listener.as_fd(), 10).unwrap();
        let client = stream_socket(&address, false).unwrap();
        connect(client.as_fd(), &address).unwrap();
        accept(listener.as_fd()).unwrap();
        accept(listener.as_fd()).unwrap_err();
        assert_eq!(is_stale(&path), Ok(false));
    });
}
