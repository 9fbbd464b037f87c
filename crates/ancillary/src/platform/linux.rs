use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use fdwire_system::{Error, Result, check};
use nix::errno::Errno;
use nix::sys::socket::{UnixAddr, getsockopt, sockopt};

use super::fallback;
use crate::control::{ControlMessage, Entry, space};
use crate::credentials::Credentials;
use crate::kind::Kind;
use crate::raw_address::RawAddress;
use crate::region::{Source, Target, iovecs, iovecs_mut};
use crate::rights::{Arrival, MAX_FDS};

pub(crate) const ARRIVAL: Arrival = Arrival::LastByte;
pub(crate) const ABSTRACT_NAMES: bool = true;
pub(crate) const RECEIVE_FLAGS: i32 = libc::MSG_CMSG_CLOEXEC;
pub(crate) const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
pub(crate) const SCM_PIDFD: Option<i32> = Some(4);
/// Descriptors and credentials, and 1 KiB for whatever socket options turn on.
pub(crate) const CONTROL_SPACE: usize =
    space(MAX_FDS * size_of::<i32>()) + space(size_of::<libc::ucred>()) + space(size_of::<i32>()) + 1024;

pub(crate) fn received(_fds: &[OwnedFd]) -> Result<()> {
    Ok(())
}

pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> nix::Result<OwnedFd> {
    fallback::socket_with(family, kind | libc::SOCK_CLOEXEC, protocol)
}

pub(crate) fn nonblocking_socket(family: i32, kind: i32, protocol: i32) -> nix::Result<OwnedFd> {
    socket(family, kind | libc::SOCK_NONBLOCK, protocol)
}

pub(crate) fn pair(family: i32, kind: i32, protocol: i32) -> nix::Result<(OwnedFd, OwnedFd)> {
    fallback::pair_with(family, kind | libc::SOCK_CLOEXEC, protocol)
}

pub(crate) fn pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
}

pub(crate) fn accept(listener: BorrowedFd<'_>, peer: &mut RawAddress) -> nix::Result<OwnedFd> {
    fallback::accept_with(peer, |name, length| {
        // SAFETY: `name` has `length` writable bytes.
        unsafe { libc::accept4(listener.as_raw_fd(), name, length, libc::SOCK_CLOEXEC) }
    })
}

/// Pipes know `RWF_NOWAIT` since Linux 5.5 or so, terminals do not.
fn unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS | Errno::ESPIPE)
}

/// The current position, as two halves.
const HERE: libc::c_long = -1;

pub(crate) fn read_now(fd: BorrowedFd<'_>, target: &mut Target<'_>) -> nix::Result<usize> {
    let iovecs = iovecs_mut(std::slice::from_mut(target));
    // SAFETY: one iovec, of memory that is to be filled.
    match unsafe { now(libc::SYS_preadv2, fd, iovecs, 1) } {
        Err(errno) if unsupported(errno) => fallback::read_now(fd, target),
        result => result,
    }
}

pub(crate) fn write_now(fd: BorrowedFd<'_>, buffers: &[Source<'_>]) -> nix::Result<usize> {
    // SAFETY: as many iovecs as there are, all of memory that is to be written out.
    match unsafe { now(libc::SYS_pwritev2, fd, iovecs(buffers), buffers.len()) } {
        Err(errno) if unsupported(errno) => fallback::write_now(fd, buffers),
        result => result,
    }
}

/// `preadv2` or `pwritev2`, by number because older C libraries (musl, Android) lack them.
///
/// # Safety
/// `slices` points to `count` iovecs, valid for what `number` does with them.
unsafe fn now(
    number: libc::c_long,
    fd: BorrowedFd<'_>,
    slices: *const libc::iovec,
    count: usize,
) -> nix::Result<usize> {
    let fd = libc::c_long::from(fd.as_raw_fd());
    // SAFETY: the caller's promise; the other arguments are numbers.
    let count = unsafe { libc::syscall(number, fd, slices, count, HERE, HERE, libc::RWF_NOWAIT) };
    Errno::result(count).map(|count| count as usize)
}

/// A memfd, and on some kernels a pidfd, is a regular file to fstat; its name in /proc tells.
pub(crate) fn regular_kind(fd: BorrowedFd<'_>, unlinked: bool) -> Kind {
    let Ok(name) = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())) else {
        return Kind::File;
    };
    let name = name.as_os_str().as_bytes();
    if unlinked && name.starts_with(b"/memfd:") {
        Kind::Memfd
    } else if name.starts_with(b"anon_inode:") {
        Kind::Anon
    } else {
        Kind::File
    }
}

pub(crate) fn nameless_or_abstract(name: &[u8]) -> Result<nix::Result<UnixAddr>> {
    Ok(match name {
        [] => Ok(UnixAddr::new_unnamed()),
        [_, rest @ ..] => UnixAddr::new_abstract(rest),
    })
}

pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> Result<Credentials> {
    let peer = check("getsockopt", getsockopt(&socket, sockopt::PeerCredentials))?;
    // What the kernel answers when there never was a peer.
    if peer.uid() == u32::MAX {
        return Err(Error::system("getsockopt", Errno::ENOTCONN));
    }
    Ok(Credentials {
        pid: peer.pid(),
        uid: peer.uid(),
        gid: peer.gid(),
    })
}

/// pid, uid, gid, as struct ucred has them.
pub(crate) fn credentials_message(credentials: Credentials) -> Result<ControlMessage> {
    let Credentials { pid, uid, gid } = credentials;
    let data = [pid.to_ne_bytes(), uid.to_ne_bytes(), gid.to_ne_bytes()].concat();
    Ok(ControlMessage {
        level: libc::SOL_SOCKET,
        kind: libc::SCM_CREDENTIALS,
        data,
    })
}

pub(crate) fn parse_credentials(entry: &Entry<'_>) -> Option<Credentials> {
    if !entry.is(libc::SOL_SOCKET, libc::SCM_CREDENTIALS) {
        return None;
    }
    let ([pid, uid, gid], []) = entry.data.as_chunks::<4>() else {
        return None;
    };
    Some(Credentials {
        pid: i32::from_ne_bytes(*pid),
        uid: u32::from_ne_bytes(*uid),
        gid: u32::from_ne_bytes(*gid),
    })
}
