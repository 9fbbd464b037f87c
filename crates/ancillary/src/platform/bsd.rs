use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use fdwire_system::{Error, Result};
use nix::errno::Errno;

use super::fallback;
pub(crate) use super::fallback::{
    credentials_message, nameless_or_abstract, parse_credentials, read_now, received, regular_kind, write_now,
};
use crate::control::space;
use crate::credentials::Credentials;
use crate::option::option;
use crate::raw_address::RawAddress;
use crate::rights::Arrival;

pub(crate) const ARRIVAL: Arrival = Arrival::FirstByte;
pub(crate) const ABSTRACT_NAMES: bool = false;
pub(crate) const RECEIVE_FLAGS: i32 = libc::MSG_CMSG_CLOEXEC;
pub(crate) const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
pub(crate) const SCM_PIDFD: Option<i32> = None;
pub(crate) const CONTROL_SPACE: usize = space(1024 * size_of::<i32>());

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
    // Unlike accept, accept4 does not hand O_NONBLOCK on from the listener.
    fallback::accept_with(peer, |name, length| {
        // SAFETY: `name` has `length` writable bytes.
        unsafe { libc::accept4(listener.as_raw_fd(), name, length, libc::SOCK_CLOEXEC) }
    })
}

pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> Result<Credentials> {
    let mut bytes = [0; size_of::<libc::xucred>()];
    // SOL_LOCAL, which not every libc defines, is 0.
    let length = option(socket, 0, libc::LOCAL_PEERCRED, &mut bytes)?;
    if length < bytes.len() {
        return Err(Error::system("getsockopt", Errno::ENOTCONN));
    }
    // SAFETY: xucred is plain integers, and there are as many bytes as it has.
    let peer = unsafe { bytes.as_ptr().cast::<libc::xucred>().read_unaligned() };
    // SAFETY: every member of the union is an integer or a pointer of which only the bits are read.
    let pid = unsafe { peer.cr_pid__c_anonymous_union.cr_pid };
    Ok(Credentials {
        pid,
        uid: peer.cr_uid,
        gid: peer.cr_groups[0],
    })
}
