//! What takes over where a system lacks what Linux has, tested on this one.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

use fdwire_system::{Errno, inheritable, set_inheritable};
use nix::fcntl::{FcntlArg, fcntl};

use crate::address::{Address, decode};
use crate::platform::fallback::{accept, pair, pipe, read_now, received, socket, write_now};
use crate::raw_address::RawAddress;
use crate::region::{Source, Target};
use crate::socket::{bind, connect, listen, local_address, stream_socket};

fn assert_close_on_exec<'a>(fds: impl IntoIterator<Item = &'a OwnedFd>) {
    for fd in fds {
        assert_eq!(inheritable(fd.as_fd()), Ok(false));
    }
}

#[test]
fn whatever_is_made_or_received_is_close_on_exec() {
    let (reader, writer) = pipe().unwrap();
    let (one, other) = pair(libc::AF_UNIX, libc::SOCK_STREAM, 0).unwrap();
    let socket = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0).unwrap();
    assert_close_on_exec([&reader, &writer, &one, &other, &socket]);

    let fds = [reader, writer];
    for fd in &fds {
        set_inheritable(fd.as_fd(), true).unwrap();
    }
    received(&fds).unwrap();
    assert_close_on_exec(&fds);
}

#[test]
fn an_accepted_socket_is_close_on_exec_and_blocking() {
    let any_port = Address::Inet((Ipv4Addr::LOCALHOST, 0).into());
    let listener = stream_socket(&any_port, true).unwrap();
    bind(listener.as_fd(), &any_port).unwrap();
    listen(listener.as_fd(), 1).unwrap();
    let mut peer = RawAddress::new();
    assert_eq!(accept(listener.as_fd(), &mut peer).unwrap_err(), Errno::EAGAIN);

    let address = local_address(listener.as_fd()).unwrap();
    let client = stream_socket(&address, false).unwrap();
    connect(client.as_fd(), &address).unwrap();
    let accepted = accept(listener.as_fd(), &mut peer).unwrap();
    assert_close_on_exec([&accepted]);
    assert_eq!(fcntl(&accepted, FcntlArg::F_GETFL).unwrap() & libc::O_NONBLOCK, 0);
    assert_eq!(decode(&peer), Some(local_address(client.as_fd()).unwrap()));
}

#[test]
fn pipes_are_read_and_written_without_waiting() {
    let (reader, writer) = pipe().unwrap();
    let mut buffer = [0; 8];
    assert_eq!(
        read_now(reader.as_fd(), &mut Target::new(&mut buffer)),
        Err(Errno::EAGAIN)
    );
    assert_eq!(
        write_now(writer.as_fd(), &[Source::new(b"ab"), Source::new(b"c")]),
        Ok(3)
    );
    assert_eq!(read_now(reader.as_fd(), &mut Target::new(&mut buffer)), Ok(3));
    assert_eq!(&buffer[..3], b"abc");

    let large = [0; 3 * libc::PIPE_BUF];
    let mut written = 0;
    let end = loop {
        match write_now(writer.as_fd(), &[Source::new(&large[..10]), Source::new(&large)]) {
            Ok(count) => {
                assert!(count <= libc::PIPE_BUF);
                written += count;
            }
            Err(errno) => break errno,
        }
    };
    assert_eq!(end, Errno::EAGAIN);
    assert!(written >= libc::PIPE_BUF);
    drop(reader);
    assert_eq!(write_now(writer.as_fd(), &[Source::new(b"x")]), Err(Errno::EPIPE));
    let (reader, writer) = pipe().unwrap();
    drop(writer);
    assert_eq!(read_now(reader.as_fd(), &mut Target::new(&mut buffer)), Ok(0));
}
