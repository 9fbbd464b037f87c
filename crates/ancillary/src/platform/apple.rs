use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fdwire_system::{Result, check, set_nonblocking};
use nix::sys::socket::{getsockopt, sockopt};

use super::fallback;
pub(crate) use super::fallback::{
    credentials_message, nameless_or_abstract, parse_credentials, pipe, read_now, received, regular_kind, write_now,
};
use crate::control::space;
use crate::credentials::Credentials;
use crate::option::set_number;
use crate::raw_address::RawAddress;
use crate::rights::Arrival;

pub(crate) const ARRIVAL: Arrival = Arrival::FirstByte;
pub(crate) const ABSTRACT_NAMES: bool = false;
pub(crate) const RECEIVE_FLAGS: i32 = 0;
/// SO_NOSIGPIPE instead: older systems do not know MSG_NOSIGNAL.
pub(crate) const SEND_FLAGS: i32 = 0;
pub(crate) const SCM_PIDFD: Option<i32> = None;
/// A smaller one leaks what does not fit: the kernel has installed the descriptors by then and does not tell their numbers.
pub(crate) const CONTROL_SPACE: usize = space(1024 * size_of::<i32>());

/// The default of a unix socket is 8 KiB for both directions together.
const BUFFER_SIZE: i32 = 256 * 1024;

pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> nix::Result<OwnedFd> {
    let socket = fallback::socket(family, kind, protocol)?;
    prepare(socket.as_fd(), family);
    Ok(socket)
}

pub(crate) fn nonblocking_socket(family: i32, kind: i32, protocol: i32) -> nix::Result<OwnedFd> {
    let socket = socket(family, kind, protocol)?;
    set_nonblocking(socket.as_fd(), true).map_err(|error| error.errno())?;
    Ok(socket)
}

pub(crate) fn pair(family: i32, kind: i32, protocol: i32) -> nix::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = fallback::pair(family, kind, protocol)?;
    prepare(one.as_fd(), family);
    prepare(other.as_fd(), family);
    Ok((one, other))
}

pub(crate) fn accept(listener: BorrowedFd<'_>, peer: &mut RawAddress) -> nix::Result<OwnedFd> {
    let socket = fallback::accept(listener, peer)?;
    prepare(socket.as_fd(), peer.family());
    Ok(socket)
}

/// Both are wishes: the system refuses them on a socket whose peer is gone already, which the first use will tell.
fn prepare(socket: BorrowedFd<'_>, family: i32) {
    let _ = set_number(socket, libc::SOL_SOCKET, libc::SO_NOSIGPIPE, 1);
    if family == libc::AF_UNIX {
        let _ = set_number(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, BUFFER_SIZE);
        let _ = set_number(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER_SIZE);
    }
}

pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> Result<Credentials> {
    let peer = check("getsockopt", getsockopt(&socket, sockopt::LocalPeerCred))?;
    let pid = check("getsockopt", getsockopt(&socket, sockopt::LocalPeerPid))?;
    let gid = peer.groups().first().copied().unwrap_or(u32::MAX);
    Ok(Credentials {
        pid,
        uid: peer.uid(),
        gid,
    })
}
