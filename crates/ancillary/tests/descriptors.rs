//! What descriptors are, and their flags.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use fdwire_ancillary::{
    Address, Kind, Readiness, SocketType, bind, duplicate, inheritable, is_listening, is_open, kind, listen, pair,
    pair_of, pipe, poll, set_inheritable, socket_family, socket_type, stream_socket,
};
use nix::errno::Errno;

fn kind_of(fd: impl AsFd) -> Kind {
    kind(fd.as_fd()).unwrap()
}

#[test]
fn every_kind_is_recognised() {
    assert_eq!(kind_of(tempfile::tempfile().unwrap()), Kind::File);
    assert_eq!(kind_of(File::open("/").unwrap()), Kind::Directory);
    assert_eq!(kind_of(File::open("/dev/null").unwrap()), Kind::Char);
    let (reader, writer) = pipe().unwrap();
    assert_eq!((kind_of(reader), kind_of(writer)), (Kind::Pipe, Kind::Pipe));
    let (left, _right) = pair().unwrap();
    assert_eq!(kind_of(left), Kind::Socket);
    let terminal = nix::pty::openpty(None, None).unwrap();
    assert_eq!(
        (kind_of(terminal.slave), kind_of(&terminal.master)),
        (Kind::Tty, Kind::Tty)
    );
    for address in ["127.0.0.1:0", "[::1]:0"].map(|text| Address::Inet(text.parse().unwrap())) {
        let socket = stream_socket(&address, false).unwrap();
        // Without IPv6 on the machine there is no such address.
        if bind(socket.as_fd(), &address).is_ok() {
            assert_eq!(
                (kind_of(&socket), is_listening(socket.as_fd())),
                (Kind::Socket, Ok(false))
            );
            listen(socket.as_fd(), 1).unwrap();
            assert_eq!(
                (kind_of(&socket), is_listening(socket.as_fd())),
                (Kind::Listener, Ok(true))
            );
        }
    }
}

#[test]
fn kinds_have_names() {
    let names = [
        Kind::File,
        Kind::Directory,
        Kind::Pipe,
        Kind::Socket,
        Kind::Listener,
        Kind::Tty,
        Kind::Char,
    ]
    .map(Kind::as_str);
    assert_eq!(
        names,
        ["file", "directory", "pipe", "socket", "listener", "tty", "char"]
    );
    assert_eq!(
        [Kind::Block, Kind::Memfd, Kind::Anon].map(Kind::as_str),
        ["block", "memfd", "anon"]
    );
}

#[test]
fn sockets_tell_family_and_type() {
    let (stream, _other) = pair().unwrap();
    let (datagram, _other) = pair_of(libc::AF_UNIX, libc::SOCK_DGRAM, 0).unwrap();
    let (reader, _writer) = pipe().unwrap();
    assert_eq!(socket_family(stream.as_fd()), Ok(libc::AF_UNIX));
    assert_eq!(socket_type(stream.as_fd()), Ok(SocketType::Stream));
    assert_eq!(socket_type(datagram.as_fd()), Ok(SocketType::Datagram));
    assert_eq!(socket_type(reader.as_fd()).unwrap_err().errno(), Errno::ENOTSOCK);
    assert_eq!(socket_family(reader.as_fd()).unwrap_err().errno(), Errno::ENOTSOCK);
    let inet = stream_socket(&Address::Inet("127.0.0.1:0".parse().unwrap()), false).unwrap();
    assert_eq!(socket_family(inet.as_fd()), Ok(libc::AF_INET));
}

#[test]
fn what_is_made_here_is_close_on_exec_until_told_otherwise() {
    let (reader, writer) = pipe().unwrap();
    let (left, right) = pair().unwrap();
    let copy = duplicate(left.as_fd()).unwrap();
    for fd in [&reader, &writer, &left, &right, &copy] {
        assert_eq!(inheritable(fd.as_fd()), Ok(false));
    }
    set_inheritable(reader.as_fd(), true).unwrap();
    assert_eq!(inheritable(reader.as_fd()), Ok(true));
    assert_eq!(inheritable(duplicate(reader.as_fd()).unwrap().as_fd()), Ok(false));
    set_inheritable(reader.as_fd(), false).unwrap();
    assert_eq!(inheritable(reader.as_fd()), Ok(false));
}

#[test]
fn open_and_closed_numbers_are_told_apart() {
    let (reader, _writer) = pipe().unwrap();
    assert!(is_open(reader.as_raw_fd()));
    assert!(!is_open(i32::MAX));
    assert!(!is_open(-1));
    // SAFETY: no descriptor has this number, so none is used that is not ours.
    let closed = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
    assert_eq!(kind(closed).unwrap_err().errno(), Errno::EBADF);
    assert_eq!(duplicate(closed).unwrap_err().errno(), Errno::EBADF);
    assert_eq!(inheritable(closed).unwrap_err().errno(), Errno::EBADF);
    assert_eq!(
        poll(closed, Readiness::READABLE, None).unwrap_err().errno(),
        Errno::EBADF
    );
}

#[test]
fn poll_reports_data_room_and_the_end() {
    let both = Readiness {
        readable: true,
        writable: true,
    };
    let nothing = Readiness::default();
    let (left, right) = pair().unwrap();
    assert_eq!(poll(left.as_fd(), both, Some(Duration::ZERO)), Ok(Readiness::WRITABLE));
    assert_eq!(
        poll(left.as_fd(), Readiness::READABLE, Some(Duration::ZERO)),
        Ok(nothing)
    );
    fdwire_ancillary::shutdown(right.as_fd(), fdwire_ancillary::Shutdown::Write).unwrap();
    assert_eq!(poll(left.as_fd(), Readiness::READABLE, None), Ok(Readiness::READABLE));
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    assert_eq!(poll(writer.as_fd(), Readiness::WRITABLE, None), Ok(Readiness::WRITABLE));
}

#[test]
fn poll_does_not_return_early() {
    let (left, _right) = pair().unwrap();
    for timeout in [
        Duration::from_micros(1),
        Duration::from_micros(1500),
        Duration::from_millis(5),
    ] {
        let start = Instant::now();
        assert_eq!(
            poll(left.as_fd(), Readiness::READABLE, Some(timeout)),
            Ok(Readiness::default())
        );
        assert!(start.elapsed() >= timeout);
    }
}
