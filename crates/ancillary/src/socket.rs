//! Making, naming and joining sockets. All of them are close-on-exec, and blocking unless asked for otherwise.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use fdwire_system::{Error, Readiness, Result, answer, check, poll};
use nix::errno::Errno;

use crate::address::{Address, decode, encode};
use crate::credentials::Credentials;
use crate::option::take_error;
use crate::platform;
use crate::raw_address::RawAddress;

/// A stream socket of the address's family.
pub fn stream_socket(address: &Address, nonblocking: bool) -> Result<OwnedFd> {
    if !nonblocking {
        return socket(address.family(), libc::SOCK_STREAM, 0);
    }
    platform::nonblocking_socket(address.family(), libc::SOCK_STREAM, 0).map_err(|errno| Error::system("socket", errno))
}

/// A socket of any family, type and protocol.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
    platform::socket(family, kind, protocol).map_err(|errno| Error::system("socket", errno))
}

/// Two connected unix stream sockets.
#[doc(alias = "socketpair")]
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    pair_of(libc::AF_UNIX, libc::SOCK_STREAM, 0)
}

/// Two connected sockets of any family, type and protocol.
#[doc(alias = "socketpair")]
pub fn pair_of(family: i32, kind: i32, protocol: i32) -> Result<(OwnedFd, OwnedFd)> {
    platform::pair(family, kind, protocol).map_err(|errno| Error::system("socketpair", errno))
}

/// Connects. A non-blocking socket answers `EINPROGRESS` (TCP: wait until writable, then [`take_error`])
/// or `EAGAIN` (unix: the listener's queue is full, try again later; nothing tells when).
pub fn connect(socket: BorrowedFd<'_>, address: &Address) -> Result<()> {
    let raw = encode("connect", address)?;
    let mut interrupted = false;
    loop {
        // SAFETY: `raw` is an address of the length given.
        match Errno::result(unsafe { libc::connect(socket.as_raw_fd(), raw.as_ptr(), raw.length()) }) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => interrupted = true,
            // An interrupted TCP connect goes on by itself.
            Err(Errno::EISCONN) if interrupted => return Ok(()),
            Err(Errno::EALREADY) if interrupted => {
                poll(socket, Readiness::WRITABLE, None)?;
                return take_error(socket);
            }
            Err(errno) => return Err(Error::system("connect", errno)),
        }
    }
}

/// Names the socket. An empty unix name makes Linux choose an abstract one.
pub fn bind(socket: BorrowedFd<'_>, address: &Address) -> Result<()> {
    let raw = encode("bind", address)?;
    // SAFETY: `raw` is an address of the length given.
    answer("bind", unsafe {
        libc::bind(socket.as_raw_fd(), raw.as_ptr(), raw.length())
    })?;
    Ok(())
}

/// Makes a bound socket a listener.
pub fn listen(socket: BorrowedFd<'_>, backlog: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    answer("listen", unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
    Ok(())
}

/// Takes the next connection and its peer's address; a client that is gone again is passed over.
///
/// Waits unless the listener is non-blocking. The new socket is blocking in any case.
pub fn accept(listener: BorrowedFd<'_>) -> Result<(OwnedFd, Address)> {
    loop {
        let mut peer = RawAddress::new();
        match platform::accept(listener, &mut peer) {
            // Other families (vsock) have no name here.
            Ok(socket) => return Ok((socket, decode(&peer).unwrap_or(Address::Unix(Vec::new())))),
            Err(errno) if is_of_the_client(errno) => {}
            Err(errno) => return Err(Error::system("accept", errno)),
        }
    }
}

/// What accept(2) passes on from a client that is gone, or whose network is; and signals.
fn is_of_the_client(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EINTR
            | Errno::ECONNABORTED
            | Errno::EPROTO
            | Errno::ENOPROTOOPT
            | Errno::ENETDOWN
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
    )
}

fn socket_name(socket: BorrowedFd<'_>) -> Result<RawAddress> {
    name("getsockname", socket, libc::getsockname)
}

type GetName = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn name(syscall: &'static str, socket: BorrowedFd<'_>, get: GetName) -> Result<RawAddress> {
    let mut raw = RawAddress::new();
    let mut length = raw.length();
    // SAFETY: `raw` has `length` writable bytes.
    answer(syscall, unsafe {
        get(socket.as_raw_fd(), raw.as_mut_ptr(), &mut length)
    })?;
    raw.set_length(length);
    Ok(raw)
}

/// The socket's own address.
#[doc(alias = "getsockname")]
pub fn local_address(socket: BorrowedFd<'_>) -> Result<Address> {
    decode(&socket_name(socket)?).ok_or(Error::Unsupported("this address family"))
}

/// `AF_UNIX`, `AF_INET`, ...; `ENOTSOCK` for what is no socket.
pub fn socket_family(socket: BorrowedFd<'_>) -> Result<i32> {
    // SO_DOMAIN is missing on macOS; every socket has a local name, if an empty one.
    socket_name(socket).map(|name| name.family())
}

/// The address of the other end.
#[doc(alias = "getpeername")]
pub fn peer_address(socket: BorrowedFd<'_>) -> Result<Address> {
    let name = name("getpeername", socket, libc::getpeername)?;
    decode(&name).ok_or(Error::Unsupported("this address family"))
}

/// Who was at the other end of a unix socket when it was connected (for a client: who called `listen`).
///
/// `ENOTCONN` where there is no such peer, TCP sockets included.
#[doc(alias = "SO_PEERCRED")]
#[doc(alias = "LOCAL_PEERCRED")]
pub fn peer_credentials(socket: BorrowedFd<'_>) -> Result<Credentials> {
    platform::peer_credentials(socket)
}

/// Which direction to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// `SHUT_RD`
    Read,
    /// `SHUT_WR`
    Write,
    /// `SHUT_RDWR`
    Both,
}

/// Closes one direction or both, for everyone who shares the socket.
pub fn shutdown(socket: BorrowedFd<'_>, how: Shutdown) -> Result<()> {
    let how = match how {
        Shutdown::Read => nix::sys::socket::Shutdown::Read,
        Shutdown::Write => nix::sys::socket::Shutdown::Write,
        Shutdown::Both => nix::sys::socket::Shutdown::Both,
    };
    check("shutdown", nix::sys::socket::shutdown(socket.as_raw_fd(), how))
}
