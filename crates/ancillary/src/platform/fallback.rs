//! The POSIX way, for systems without the flags that Linux has.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use fdwire_system::{Error, Readiness, Result, check, poll, set_nonblocking};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::control::{ControlMessage, Entry};
use crate::credentials::Credentials;
use crate::kind::Kind;
use crate::raw_address::RawAddress;
use crate::region::{Source, Target, iovecs};

fn close_on_exec(fd: BorrowedFd<'_>) -> nix::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}

/// For systems whose `recvmsg` cannot.
pub(crate) fn received(fds: &[OwnedFd]) -> Result<()> {
    for fd in fds {
        check("fcntl", close_on_exec(fd.as_fd()))?;
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

pub(crate) fn read_waiting(fd: BorrowedFd<'_>, target: &mut Target<'_>) -> nix::Result<usize> {
    let length = target.len();
    // SAFETY: whoever made the target says that it is to be filled.
    let count = unsafe { libc::read(fd.as_raw_fd(), target.as_mut_ptr(), length) };
    Errno::result(count).map(|count| count as usize)
}

pub(crate) fn write_waiting(fd: BorrowedFd<'_>, buffers: &[Source<'_>]) -> nix::Result<usize> {
    // SAFETY: as many iovecs as there are, all of memory that is to be written out.
    let count = unsafe { libc::writev(fd.as_raw_fd(), iovecs(buffers), buffers.len() as _) };
    Errno::result(count).map(|count| count as usize)
}

/// `EAGAIN` unless a read returns at once. Someone else who reads the same pipe can still get in between.
pub(crate) fn read_now(fd: BorrowedFd<'_>, target: &mut Target<'_>) -> nix::Result<usize> {
    if !ready(fd, Readiness::READABLE)?.readable {
        return Err(Errno::EAGAIN);
    }
    read_waiting(fd, target)
}

/// Most buffers written at a time.
const PIECES: usize = 16;

/// Writes at most `PIPE_BUF` bytes: a writable pipe has room for them.
pub(crate) fn write_now(fd: BorrowedFd<'_>, buffers: &[Source<'_>]) -> nix::Result<usize> {
    if !ready(fd, Readiness::WRITABLE)?.writable {
        return Err(Errno::EAGAIN);
    }
    let mut room = libc::PIPE_BUF;
    let mut fitting = [Source::new(&[]); PIECES];
    for (fitting, buffer) in fitting.iter_mut().zip(buffers) {
        *fitting = buffer.first(room);
        room -= fitting.len();
    }
    write_waiting(fd, &fitting[..buffers.len().min(PIECES)])
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
