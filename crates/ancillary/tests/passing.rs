//! Descriptors arrive: all of them, in order, close-on-exec, once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod util;

use std::os::fd::{AsFd, BorrowedFd};

use fdwire_ancillary::{
    Address, Arrival, ControlBuffer, MAX_FDS, Outgoing, Source, Target, inheritable, kind, local_address, pair,
    pair_of, pipe, receive, receive_message, send, send_message,
};
use nix::errno::Errno;
use util::{borrow, copies, files, get, number, put};

#[test]
fn one_two_and_the_most_descriptors_arrive_in_order_and_close_on_exec() {
    for count in [1, 2, MAX_FDS] {
        let (left, right) = pair().unwrap();
        let sent = files(count);
        assert_eq!(put(&left, b"message", &borrow(&sent)), 7);
        let (bytes, received) = get(&right, 100);
        assert_eq!(bytes, b"message");
        assert!(!received.truncated && received.control);
        assert!(received.fds.iter().all(|fd| !inheritable(fd.as_fd()).unwrap()));
        let numbers: Vec<usize> = received.fds.into_iter().map(number).collect();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    }
}

#[test]
fn bytes_without_descriptors_bring_no_control_message() {
    let (left, right) = pair().unwrap();
    put(&left, b"plain", &[]);
    let (bytes, received) = get(&right, 100);
    assert_eq!(bytes, b"plain");
    assert!(received.fds.is_empty() && !received.control && !received.truncated);
}

#[test]
fn several_buffers_are_one_message() {
    let (left, right) = pair().unwrap();
    let slices = [Source::new(b"he"), Source::new(b""), Source::new(b"llo")];
    assert_eq!(send(left.as_fd(), &slices, &[left.as_fd()], false), Ok(5));
    let (mut start, mut rest) = ([0; 1], [0; 10]);
    let mut buffers = [Target::new(&mut start), Target::new(&mut rest)];
    let received = receive(right.as_fd(), &mut buffers, &mut ControlBuffer::new(), false).unwrap();
    assert_eq!((received.bytes, received.fds.len()), (5, 1));
    assert_eq!((&start, &rest[..4]), (b"h", b"ello".as_slice()));
}

#[test]
fn too_many_descriptors_are_einval_and_nothing_is_sent() {
    let (left, right) = pair().unwrap();
    let many = copies(&left, MAX_FDS + 1);
    let error = send(left.as_fd(), &[Source::new(b"x")], &many, false).unwrap_err();
    assert_eq!((error.errno(), error.syscall()), (Errno::EINVAL, "sendmsg"));
    let message = Outgoing {
        fds: &many,
        ..Outgoing::default()
    };
    assert_eq!(
        send_message(left.as_fd(), &[Source::new(b"x")], &message)
            .unwrap_err()
            .errno(),
        Errno::EINVAL
    );
    assert_nothing_arrived(&right);
}

#[test]
fn descriptors_without_a_byte_are_einval_and_nothing_is_sent() {
    let (left, right) = pair().unwrap();
    for buffers in [[].as_slice(), &[Source::new(b"")]] {
        let fds = [left.as_fd()];
        assert_eq!(
            send(left.as_fd(), buffers, &fds, false).unwrap_err().errno(),
            Errno::EINVAL
        );
        let message = Outgoing {
            fds: &fds,
            ..Outgoing::default()
        };
        assert_eq!(
            send_message(left.as_fd(), buffers, &message).unwrap_err().errno(),
            Errno::EINVAL
        );
    }
    assert_nothing_arrived(&right);
}

#[test]
fn a_descriptor_that_is_not_open_is_ebadf_and_nothing_is_sent() {
    let (left, right) = pair().unwrap();
    // SAFETY: no descriptor has this number, so none is used that is not ours.
    let closed = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
    let error = send(left.as_fd(), &[Source::new(b"x")], &[left.as_fd(), closed], false).unwrap_err();
    assert_eq!(error.errno(), Errno::EBADF);
    assert_nothing_arrived(&right);
}

#[test]
fn an_empty_socket_answers_eagain_and_a_closed_one_zero() {
    let (left, right) = pair().unwrap();
    assert_nothing_arrived(&right);
    drop(left);
    assert_eq!(get(&right, 10).1.bytes, 0);
    let error = send(right.as_fd(), &[Source::new(b"x")], &[], false).unwrap_err();
    assert_eq!(error.errno(), Errno::EPIPE);
}

#[test]
fn a_full_socket_answers_eagain() {
    let (left, _right) = pair().unwrap();
    let chunk = vec![0; 1 << 16];
    let error = loop {
        match send(left.as_fd(), &[Source::new(&chunk)], &[], false) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.would_block());
}

#[test]
fn a_waiting_call_waits() {
    let (left, right) = pair().unwrap();
    let receiver = std::thread::spawn(move || {
        let mut byte = [0];
        let mut buffers = [Target::new(&mut byte)];
        receive(right.as_fd(), &mut buffers, &mut ControlBuffer::new(), true)
            .unwrap()
            .fds
            .len()
    });
    assert_eq!(send(left.as_fd(), &[Source::new(b"x")], &[left.as_fd()], true), Ok(1));
    assert_eq!(receiver.join().unwrap(), 1);
}

#[test]
fn a_partial_send_takes_the_descriptors_and_the_rest_goes_without() {
    let (left, right) = pair().unwrap();
    let (reader, _writer) = pipe().unwrap();
    let message = vec![7; 8 << 20];
    let mut sent = send(left.as_fd(), &[Source::new(&message)], &[reader.as_fd()], false).unwrap();
    assert!(sent < message.len());

    let (mut arrived, mut fds) = (0, 0);
    while arrived < message.len() {
        let (bytes, received) = get(&right, 1 << 16);
        arrived += bytes.len();
        fds += received.fds.len();
        if sent < message.len() {
            sent += put(&left, &message[sent..], &[]);
        }
    }
    assert_eq!((arrived, fds), (message.len(), 1));
}

#[test]
fn descriptors_arrive_with_the_byte_that_arrival_names() {
    let (left, right) = pair().unwrap();
    put(&left, b"aaaa", &[]);
    put(&left, b"B", &[left.as_fd()]);
    put(&left, b"cccc", &[]);
    let (mut bytes, mut with_fd) = (Vec::new(), None);
    while bytes.len() < 9 {
        let (chunk, received) = get(&right, 100);
        if !received.fds.is_empty() {
            with_fd = Some(match fdwire_ancillary::ARRIVAL {
                Arrival::FirstByte => bytes.len(),
                Arrival::LastByte => bytes.len() + chunk.len() - 1,
            });
        }
        bytes.extend(chunk);
    }
    assert_eq!((bytes.as_slice(), with_fd), (b"aaaaBcccc".as_slice(), Some(4)));
}

#[test]
fn the_control_buffer_can_be_used_again() {
    let (left, right) = pair().unwrap();
    let mut control = ControlBuffer::new();
    for count in [3, 0, 1, 0] {
        put(&left, b"x", &copies(&left, count));
        let mut byte = [0];
        let received = receive(right.as_fd(), &mut [Target::new(&mut byte)], &mut control, false).unwrap();
        assert_eq!((received.fds.len(), received.control), (count, count > 0));
    }
}

#[test]
fn receive_message_gives_at_most_the_descriptors_asked_for() {
    for (max_fds, expected, truncated) in [(3, 3, false), (5, 3, false), (2, 2, true), (0, 0, true)] {
        let (left, right) = pair().unwrap();
        put(&left, b"x", &borrow(&files(3)));
        let mut byte = [0];
        let mut buffers = [Target::new(&mut byte)];
        let message = receive_message(right.as_fd(), &mut buffers, &mut ControlBuffer::new(), max_fds, 0).unwrap();
        assert_eq!(message.flags & libc::MSG_CTRUNC != 0, truncated);
        let numbers: Vec<usize> = message.fds.into_iter().map(number).collect();
        assert_eq!(numbers, (0..expected).collect::<Vec<_>>());
        assert!(message.control.is_empty());
    }
}

#[test]
fn peeking_gives_copies() {
    let (left, right) = pair().unwrap();
    put(&left, b"x", &[left.as_fd()]);
    let mut control = ControlBuffer::new();
    for flags in [libc::MSG_PEEK, libc::MSG_PEEK, 0] {
        let mut byte = [0];
        let message = receive_message(right.as_fd(), &mut [Target::new(&mut byte)], &mut control, 1, flags).unwrap();
        assert!(kind(message.fds[0].as_fd()).is_ok());
    }
}

#[test]
fn a_datagram_goes_to_an_address_and_tells_where_it_is_from() {
    let directory = tempfile::tempdir().unwrap();
    let bound = |name: &str| {
        let socket = fdwire_ancillary::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0).unwrap();
        let path = directory.path().join(name).into_os_string().into_encoded_bytes();
        fdwire_ancillary::bind(socket.as_fd(), &Address::Unix(path)).unwrap();
        socket
    };
    let (from, to) = (bound("from"), bound("to"));
    let address = local_address(to.as_fd()).unwrap();
    let message = Outgoing {
        fds: &[from.as_fd()],
        address: Some(&address),
        ..Outgoing::default()
    };
    assert_eq!(send_message(from.as_fd(), &[Source::new(b"datagram")], &message), Ok(8));

    let mut bytes = [0; 4];
    let mut buffers = [Target::new(&mut bytes)];
    let message = receive_message(to.as_fd(), &mut buffers, &mut ControlBuffer::new(), 1, 0).unwrap();
    assert_eq!((message.bytes, message.fds.len()), (4, 1));
    assert!(message.flags & libc::MSG_TRUNC != 0);
    assert_eq!(message.address, Some(local_address(from.as_fd()).unwrap()));
}

#[test]
fn an_empty_datagram_can_carry_a_descriptor() {
    let (left, right) = pair_of(libc::AF_UNIX, libc::SOCK_DGRAM, 0).unwrap();
    let message = Outgoing {
        fds: &[left.as_fd()],
        ..Outgoing::default()
    };
    assert_eq!(send_message(left.as_fd(), &[], &message), Ok(0));
    let message = receive_message(right.as_fd(), &mut [], &mut ControlBuffer::new(), 1, 0).unwrap();
    assert_eq!((message.bytes, message.fds.len()), (0, 1));
}

fn assert_nothing_arrived(socket: &impl AsFd) {
    let mut byte = [0];
    let result = receive(
        socket.as_fd(),
        &mut [Target::new(&mut byte)],
        &mut ControlBuffer::new(),
        false,
    );
    assert!(result.unwrap_err().would_block());
}
