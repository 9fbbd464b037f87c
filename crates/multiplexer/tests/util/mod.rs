#![allow(dead_code, unreachable_pub)]

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub const NOW: Option<Duration> = Some(Duration::ZERO);

pub fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

pub fn send(mut stream: &UnixStream) {
    stream.write_all(b"x").unwrap();
}

pub fn receive(mut stream: &UnixStream) {
    stream.read_exact(&mut [0]).unwrap();
}

/// Writes until the stream takes no more.
pub fn fill(mut stream: &UnixStream) {
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 4096]).is_ok() {}
}

/// Reads until nothing is left.
pub fn drain(mut stream: &UnixStream) {
    stream.set_nonblocking(true).unwrap();
    while stream.read(&mut [0; 65536]).is_ok_and(|count| count > 0) {}
}

/// Whether poll(2) calls the descriptor readable.
pub fn readable(fd: impl AsFd) -> bool {
    nix::poll::poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
}

/// A duplicate under a number that no other test uses, as they run beside each other and descriptors are the process's.
pub fn at(number: RawFd, fd: impl AsFd) -> OwnedFd {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(4096), hard).unwrap();
    let copy = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(number)).unwrap();
    assert_eq!(copy, number);
    // SAFETY: fcntl has just made it.
    unsafe { OwnedFd::from_raw_fd(copy) }
}

pub fn inheritable(fd: impl AsFd) -> bool {
    fcntl(fd.as_fd(), FcntlArg::F_GETFD).unwrap() & libc::FD_CLOEXEC == 0
}

pub fn number(fd: &impl AsRawFd) -> RawFd {
    fd.as_raw_fd()
}
