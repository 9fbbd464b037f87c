//! Pipes and terminals.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::os::fd::{AsFd, OwnedFd};

use fdwire_ancillary::{Source, Target, pipe, read, write};
use nix::errno::Errno;

fn nonblocking(fd: &OwnedFd) -> bool {
    let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL).unwrap();
    flags & libc::O_NONBLOCK != 0
}

#[test]
fn an_empty_pipe_answers_eagain_and_stays_blocking_for_others() {
    let (reader, writer) = pipe().unwrap();
    let mut buffer = [0; 10];
    assert!(
        read(reader.as_fd(), &mut Target::new(&mut buffer), false)
            .unwrap_err()
            .would_block()
    );
    assert_eq!(
        write(writer.as_fd(), &[Source::new(b"he"), Source::new(b"llo")], false),
        Ok(5)
    );
    assert_eq!(read(reader.as_fd(), &mut Target::new(&mut buffer), false), Ok(5));
    assert_eq!(&buffer[..5], b"hello");
    assert!(!nonblocking(&reader) && !nonblocking(&writer));
}

#[test]
fn a_full_pipe_takes_a_part_and_then_answers_eagain() {
    let (reader, writer) = pipe().unwrap();
    let chunk = vec![1; 1 << 20];
    let mut written = 0;
    let error = loop {
        match write(writer.as_fd(), &[Source::new(&chunk)], false) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert!(error.would_block());
    let mut read_back = 0;
    let mut buffer = vec![0; 1 << 16];
    while read_back < written {
        read_back += read(reader.as_fd(), &mut Target::new(&mut buffer), false).unwrap();
    }
    assert!(
        read(reader.as_fd(), &mut Target::new(&mut buffer), false)
            .unwrap_err()
            .would_block()
    );
}

#[test]
fn the_other_end_gone_is_the_end_or_epipe() {
    let (reader, writer) = pipe().unwrap();
    drop(writer);
    assert_eq!(read(reader.as_fd(), &mut Target::new(&mut [0; 10]), false), Ok(0));
    assert_eq!(read(reader.as_fd(), &mut Target::new(&mut [0; 10]), true), Ok(0));
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    for wait in [false, true] {
        let error = write(writer.as_fd(), &[Source::new(b"x")], wait).unwrap_err();
        assert_eq!((error.errno(), error.syscall()), (Errno::EPIPE, "write"));
    }
}

#[test]
fn a_waiting_read_waits() {
    let (reader, writer) = pipe().unwrap();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 10];
        read(reader.as_fd(), &mut Target::new(&mut buffer), true).unwrap()
    });
    assert_eq!(write(writer.as_fd(), &[Source::new(b"hello")], true), Ok(5));
    assert_eq!(thread.join().unwrap(), 5);
}

#[test]
fn a_terminal_works_like_a_pipe() {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut buffer = [0; 10];
    assert!(
        read(terminal.slave.as_fd(), &mut Target::new(&mut buffer), false)
            .unwrap_err()
            .would_block()
    );
    assert_eq!(write(terminal.master.as_fd(), &[Source::new(b"line\n")], false), Ok(5));
    assert_eq!(
        read(terminal.slave.as_fd(), &mut Target::new(&mut buffer), false),
        Ok(5)
    );
    assert_eq!(&buffer[..5], b"line\n");
}
