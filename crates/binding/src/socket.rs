//! Sockets before they are connections: addresses, connecting, credentials, options.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::os::fd::AsFd;

use fdwire_ancillary::{self as ancillary, Address, Errno, Error};
use napi::Result;
use napi::bindgen_prelude::{Buffer, Uint8ArraySlice};
use napi_derive::napi;

use crate::descriptors::borrow;
use crate::environment::{self, Entry, Shared, Source};

/// The address of a socket: a path (empty: unnamed; leading NUL: abstract) or a host and port.
#[napi(object)]
pub struct SocketAddress {
    /// Bytes of the path.
    pub path: Option<Buffer>,
    /// Numeric host.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
}

impl From<Address> for SocketAddress {
    fn from(address: Address) -> SocketAddress {
        match address {
            Address::Unix(path) => SocketAddress {
                path: Some(path.into()),
                host: None,
                port: None,
            },
            Address::Inet(address) => {
                let host = match address {
                    SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
                    _ => address.ip().to_string(),
                };
                SocketAddress {
                    path: None,
                    host: Some(host),
                    port: Some(address.port()),
                }
            }
        }
    }
}

/// Reads a numeric host, with a numeric scope after `%`.
pub(crate) fn internet_address(host: &str, port: u16) -> std::result::Result<Address, Error> {
    let invalid = || Error::System {
        syscall: "getaddrinfo",
        errno: Errno::EINVAL,
    };
    let (ip, scope) = host.split_once('%').map_or((host, "0"), |(ip, scope)| (ip, scope));
    Ok(Address::Inet(match ip.parse().map_err(|_| invalid())? {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), port),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope.parse().map_err(|_| invalid())?).into(),
    }))
}

/// Starts connecting a socket of its own, which blocks again once connected; an internet one rarely is at once, see
/// `socketConnected`.
fn connect(shared: &Shared, address: &Address) -> i32 {
    let socket = match ancillary::stream_socket(address, true) {
        Ok(socket) => socket,
        Err(error) => return shared.fail(&error),
    };
    match ancillary::connect(socket.as_fd(), address) {
        Ok(()) => {
            if let Err(error) = ancillary::set_nonblocking(socket.as_fd(), false) {
                return shared.fail(&error);
            }
        }
        Err(error) if error.errno() as i32 == libc::EINPROGRESS => {}
        Err(error) => return shared.fail(&error),
    }
    shared.hand_out(socket)
}

/// Starts connecting to a unix address: a descriptor, or `-errno` (EAGAIN: the accept queue is full).
#[napi]
pub fn socket_connect_unix(path: Uint8ArraySlice<'_>) -> Result<i32> {
    let address = Address::Unix(path.as_ref().to_vec());
    environment::with(|environment| connect(&environment.shared, &address))
}

/// Starts connecting to a numeric host and a port: a descriptor, or `-errno`.
#[napi]
pub fn socket_connect_internet(host: String, port: u16) -> Result<i32> {
    environment::with(|environment| match internet_address(&host, port) {
        Ok(address) => connect(&environment.shared, &address),
        Err(error) => environment.shared.fail(&error),
    })
}

/// The numeric addresses of a host; none where it is unknown. Blocks.
#[napi]
pub fn resolve_host(host: String) -> Vec<String> {
    let addresses = (host.as_str(), 0).to_socket_addrs();
    let mut hosts: Vec<String> = addresses
        .into_iter()
        .flatten()
        .map(|address| address.ip().to_string())
        .collect();
    hosts.dedup();
    hosts
}

/// How connecting went: 0 connected, and the socket blocks from now on; `-EINPROGRESS`; or `-errno`.
fn connected(fd: std::os::fd::BorrowedFd<'_>) -> std::result::Result<(), Error> {
    ancillary::take_error(fd)?;
    match ancillary::peer_address(fd) {
        Err(error) if error.errno() as i32 == libc::ENOTCONN => Err(Error::System {
            syscall: "connect",
            errno: Errno::EINPROGRESS,
        }),
        _ => ancillary::set_nonblocking(fd, false),
    }
}

/// How connecting a descriptor went: 0, `-EINPROGRESS` or `-errno`.
#[napi]
pub fn socket_connected(fd: i32) -> Result<i32> {
    environment::with(|environment| match borrow(fd).and_then(connected) {
        Ok(()) => 0,
        Err(error) => environment.shared.fail(&error),
    })
}

/// Turns Nagle's algorithm off, or on: 0 or `-errno`.
#[napi]
pub fn socket_set_no_delay(fd: i32, no_delay: bool) -> Result<i32> {
    environment::with(
        |environment| match borrow(fd).and_then(|fd| ancillary::set_no_delay(fd, no_delay)) {
            Ok(()) => 0,
            Err(error) => environment.shared.fail(&error),
        },
    )
}

/// The address of this end, or of the other; none where the system call failed.
#[napi]
pub fn socket_address(fd: i32, peer: bool) -> Result<Option<SocketAddress>> {
    let address = |fd| {
        if peer {
            ancillary::peer_address(fd)
        } else {
            ancillary::local_address(fd)
        }
    };
    environment::with(|environment| match borrow(fd).and_then(address) {
        Ok(address) => Some(address.into()),
        Err(error) => {
            environment.shared.fail(&error);
            None
        }
    })
}

/// The family of a socket: `unix`, `inet` or `inet6`; empty for other descriptors.
#[napi]
pub fn socket_family(fd: i32) -> Result<&'static str> {
    environment::with(|_| match borrow(fd).and_then(ancillary::socket_family) {
        Ok(libc::AF_UNIX) => "unix",
        Ok(libc::AF_INET) => "inet",
        Ok(libc::AF_INET6) => "inet6",
        _ => "",
    })
}

/// Who is at the other end of a unix socket.
#[napi(object)]
pub struct PeerCredentials {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Who was at the other end when it connected; none where the descriptor cannot tell.
#[napi]
pub fn socket_peer_credentials(fd: i32) -> Result<Option<PeerCredentials>> {
    environment::with(|_| {
        let credentials = borrow(fd).and_then(ancillary::peer_credentials).ok()?;
        Some(PeerCredentials {
            pid: credentials.pid,
            uid: credentials.uid,
            gid: credentials.gid,
        })
    })
}

/// Accepts from a watched listener: a descriptor, or `-errno` (EAGAIN: the queue is empty).
#[napi]
pub fn socket_accept(listener: u32) -> Result<i32> {
    environment::with(|environment| {
        let sources = environment.sources.borrow();
        let Some(Entry {
            source: Source::Watch(watch),
            ..
        }) = sources.get(listener as usize)
        else {
            return -libc::EBADF;
        };
        match ancillary::accept(watch.fd.as_fd()) {
            Ok((socket, _)) => environment.shared.hand_out(socket),
            Err(error) => environment.shared.fail(&error),
        }
    })
}
