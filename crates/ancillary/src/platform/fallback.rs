//! The POSIX way, for systems without the flags that Linux has.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::address::RawAddress;
use crate::control::{ControlMessage, Entry};
use crate::stream::read_waiting;
use crate::{Credentials, Error, Kind, Readiness, Result, poll, set_nonblocking};

fn close_on_exec(fd: BorrowedFd<'_>) -> nix::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}

pub(crate) fn advise_huge_pages(_buffer: &mut [u8]) {}

pub(crate) fn keep_freed_memory() {}

/// For systems whose `recvmsg` cannot.
pub(crate) fn received(fds: &[OwnedFd]) -> Result<()> {
    for fd in fds {
        close_on_exec(fd.as_fd()).map_err(|errno| Error::system("fcntl", errno))?;
    }
    Ok(())
}

pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> nix::Result<OwnedFd> {
    let socket = socket_with(family, kind, protocol)?;
    close_on_exec(socket.as_fd())?;
    Ok(socket)
}

/// `kind` holds whatever flags the system has.
pub(crate) fn socket_with(family: i32, kind: i32, protocol: i32) -> nix::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = Errno::result(unsafe { libc::socket(family, kind, protocol) })?;
    // SAFETY: a descriptor just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn pair(family: i32, kind: i32, protocol: i32) -> nix::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = pair_with(family, kind, protocol)?;
    close_on_exec(one.as_fd())?;
    close_on_exec(other.as_fd())?;
    Ok((one, other))
}

/// `kind` holds whatever flags the system has.
pub(crate) fn pair_with(family: i32, kind: i32, protocol: i32) -> nix::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: two descriptors are written to `fds`, which holds two.
    Errno::result(unsafe { libc::socketpair(family, kind, protocol, fds.as_mut_ptr()) })?;
    // SAFETY: two descriptors just made.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

pub(crate) fn pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe()?;
    close_on_exec(reader.as_fd())?;
    close_on_exec(writer.as_fd())?;
    Ok((reader, writer))
}

pub(crate) fn accept(listener: BorrowedFd<'_>, peer: &mut RawAddress) -> nix::Result<OwnedFd> {
    let socket = accept_with(peer, |name, length| {
        // SAFETY: `name` has `length` writable bytes.
        unsafe { libc::accept(listener.as_raw_fd(), name, length) }
    })?;
    close_on_exec(socket.as_fd())?;
    // BSD hands O_NONBLOCK on from the listener.
    set_nonblocking(socket.as_fd(), false).map_err(|error| error.errno())?;
    Ok(socket)
}

/// `call` is accept or accept4.
pub(crate) fn accept_with(
    peer: &mut RawAddress,
    call: impl FnOnce(*mut libc::sockaddr, *mut libc::socklen_t) -> i32,
) -> nix::Result<OwnedFd> {
    let mut length = peer.length();
    let fd = Errno::result(call(peer.as_mut_ptr(), &mut length))?;
    peer.set_length(length);
    // SAFETY: a descriptor just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `EAGAIN` unless a read returns at once. Someone else who reads the same pipe can still get in between.
pub(crate) fn read_now(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<usize> {
    if !ready(fd, Readiness::READABLE)?.readable {
        return Err(Errno::EAGAIN);
    }
    read_waiting(fd, buffer)
}

/// Writes at most `PIPE_BUF` bytes: a writable pipe has room for them.
pub(crate) fn write_now(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> nix::Result<usize> {
    if !ready(fd, Readiness::WRITABLE)?.writable {
        return Err(Errno::EAGAIN);
    }
    let mut chunk = [0; libc::PIPE_BUF];
    let mut length = 0;
    for buffer in buffers {
        let count = buffer.len().min(chunk.len() - length);
        chunk[length..length + count].copy_from_slice(&buffer[..count]);
        length += count;
    }
    // SAFETY: `chunk` is readable for `length` bytes.
    let count = unsafe { libc::write(fd.as_raw_fd(), chunk.as_ptr().cast(), length) };
    Errno::result(count).map(|count| count as usize)
}

fn ready(fd: BorrowedFd<'_>, interest: Readiness) -> nix::Result<Readiness> {
    poll(fd, interest, Some(Duration::ZERO)).map_err(|error| error.errno())
}

pub(crate) fn regular_kind(_fd: BorrowedFd<'_>, _unlinked: bool) -> Kind {
    Kind::File
}

pub(crate) fn nameless_or_abstract(_name: &[u8]) -> Result<nix::Result<nix::sys::socket::UnixAddr>> {
    Err(Error::Unsupported("an abstract or empty socket name"))
}

pub(crate) fn credentials_message(_credentials: Credentials) -> Result<ControlMessage> {
    Err(Error::Unsupported("sending credentials"))
}

pub(crate) fn parse_credentials(_entry: &Entry<'_>) -> Option<Credentials> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bind, connect, inheritable, listen, local_address, set_inheritable, stream_socket};
    use std::net::Ipv4Addr;

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
        let any_port = crate::Address::Inet((Ipv4Addr::LOCALHOST, 0).into());
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
        assert_eq!(peer.decode(), Some(local_address(client.as_fd()).unwrap()));
    }

    #[test]
    fn pipes_are_read_and_written_without_waiting() {
        let (reader, writer) = pipe().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(read_now(reader.as_fd(), &mut buffer), Err(Errno::EAGAIN));
        assert_eq!(
            write_now(writer.as_fd(), &[IoSlice::new(b"ab"), IoSlice::new(b"c")]),
            Ok(3)
        );
        assert_eq!(read_now(reader.as_fd(), &mut buffer), Ok(3));
        assert_eq!(&buffer[..3], b"abc");

        let large = [0; 3 * libc::PIPE_BUF];
        let mut written = 0;
        let end = loop {
            match write_now(writer.as_fd(), &[IoSlice::new(&large[..10]), IoSlice::new(&large)]) {
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
        assert_eq!(write_now(writer.as_fd(), &[IoSlice::new(b"x")]), Err(Errno::EPIPE));
        let (reader, writer) = pipe().unwrap();
        drop(writer);
        assert_eq!(read_now(reader.as_fd(), &mut buffer), Ok(0));
    }
}
