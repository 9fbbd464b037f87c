//! Socket options and what they tell about a socket.

use std::os::fd::{AsRawFd, BorrowedFd};

use fdwire_system::{Error, Result, answer};
use nix::errno::Errno;

/// Reads an option into `value` and returns how many bytes of it there are.
#[doc(alias = "getsockopt")]
pub fn option(socket: BorrowedFd<'_>, level: i32, name: i32, value: &mut [u8]) -> Result<usize> {
    let mut length = libc::socklen_t::try_from(value.len()).map_err(|_| Error::system("getsockopt", Errno::EINVAL))?;
    let pointer = value.as_mut_ptr().cast();
    // SAFETY: `pointer` has `length` writable bytes.
    answer("getsockopt", unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, pointer, &mut length)
    })?;
    Ok((length as usize).min(value.len()))
}

/// Sets an option.
#[doc(alias = "setsockopt")]
pub fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Error::system("setsockopt", Errno::EINVAL))?;
    let pointer = value.as_ptr().cast();
    // SAFETY: `pointer` has `length` readable bytes.
    answer("setsockopt", unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, pointer, length)
    })?;
    Ok(())
}

fn number(socket: BorrowedFd<'_>, level: i32, name: i32) -> Result<i32> {
    let mut value = [0; size_of::<i32>()];
    option(socket, level, name, &mut value)?;
    Ok(i32::from_ne_bytes(value))
}

pub(crate) fn set_number(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> Result<()> {
    set_option(socket, level, name, &value.to_ne_bytes())
}

/// How a socket delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketType {
    /// `SOCK_STREAM`
    Stream,
    /// `SOCK_DGRAM`
    Datagram,
    /// `SOCK_SEQPACKET`
    SeqPacket,
    /// Anything else.
    Other,
}

/// `SO_TYPE`; `ENOTSOCK` for what is none.
pub fn socket_type(socket: BorrowedFd<'_>) -> Result<SocketType> {
    Ok(match number(socket, libc::SOL_SOCKET, libc::SO_TYPE)? {
        libc::SOCK_STREAM => SocketType::Stream,
        libc::SOCK_DGRAM => SocketType::Datagram,
        libc::SOCK_SEQPACKET => SocketType::SeqPacket,
        _ => SocketType::Other,
    })
}

/// Whether `listen` was called on it.
#[doc(alias = "SO_ACCEPTCONN")]
pub fn is_listening(socket: BorrowedFd<'_>) -> Result<bool> {
    Ok(number(socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN)? != 0)
}

/// The error a connect in progress ended with, once; `Ok` if it succeeded.
#[doc(alias = "SO_ERROR")]
pub fn take_error(socket: BorrowedFd<'_>) -> Result<()> {
    match number(socket, libc::SOL_SOCKET, libc::SO_ERROR)? {
        0 => Ok(()),
        errno => Err(Error::system("connect", Errno::from_raw(errno))),
    }
}

/// Whether small TCP writes leave at once.
#[doc(alias = "TCP_NODELAY")]
pub fn no_delay(socket: BorrowedFd<'_>) -> Result<bool> {
    Ok(number(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY)? != 0)
}

/// Lets small TCP writes leave at once.
#[doc(alias = "TCP_NODELAY")]
pub fn set_no_delay(socket: BorrowedFd<'_>, on: bool) -> Result<()> {
    set_number(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, on.into())
}

/// Lets a listener bind to a port that old connections still use.
#[doc(alias = "SO_REUSEADDR")]
pub fn set_reuse_address(socket: BorrowedFd<'_>, on: bool) -> Result<()> {
    set_number(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, on.into())
}
