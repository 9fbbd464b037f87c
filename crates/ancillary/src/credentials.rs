use std::os::fd::BorrowedFd;

use crate::{Result, platform};

/// Who a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Process; 0 where the system does not tell.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Who was at the other end of a unix socket when it was connected (for a client: who called `listen`).
///
/// `ENOTCONN` where there is no such peer, TCP sockets included.
#[doc(alias = "SO_PEERCRED")]
#[doc(alias = "LOCAL_PEERCRED")]
pub fn peer_credentials(socket: BorrowedFd<'_>) -> Result<Credentials> {
    platform::peer_credentials(socket)
}
