#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fdwire_ancillary::{ControlBuffer, Received, Source, Target, receive, send};

/// Files that can be told apart: the first holds "0", the next "1", ...
pub(crate) fn files(count: usize) -> Vec<OwnedFd> {
    let make = |number: usize| {
        let mut file = tempfile::tempfile().unwrap();
        write!(file, "{number}").unwrap();
        OwnedFd::from(file)
    };
    (0..count).map(make).collect()
}

/// The same file several times: cheaper where they need not be told apart.
pub(crate) fn copies(fd: &impl AsFd, count: usize) -> Vec<BorrowedFd<'_>> {
    vec![fd.as_fd(); count]
}

pub(crate) fn borrow(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

/// The number in a file of [`files`].
pub(crate) fn number(fd: OwnedFd) -> usize {
    let mut file = std::fs::File::from(fd);
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text.parse().unwrap()
}

pub(crate) fn put(socket: &impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> usize {
    send(socket.as_fd(), &[Source::new(bytes)], fds, false).unwrap()
}

pub(crate) fn get(socket: &impl AsFd, size: usize) -> (Vec<u8>, Received) {
    let mut bytes = vec![0; size];
    let mut control = ControlBuffer::new();
    let received = receive(socket.as_fd(), &mut [Target::new(&mut bytes)], &mut control, false).unwrap();
    bytes.truncate(received.bytes);
    (bytes, received)
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/dev/fd").unwrap().count()
}
