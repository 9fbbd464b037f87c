//! Sockets before they are connections: addresses, connecting, credentials, options.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};

use fdwire_ancillary::{self as ancillary, Address, Errno, Error};
use napi::Result;
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use crate::descriptors::borrow;
use crate::environment;

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
pub(crate) fn connect(address: &Address) -> std::result::Result<OwnedFd, Error> {
    let socket = ancillary::stream_socket(address, true)?;
    match ancillary::connect(socket.as_fd(), address) {
        Ok(()) => ancillary::set_nonblocking(socket.as_fd(), false)?,
        Err(error) if error.errno() as i32 == libc::EINPROGRESS => {}
        Err(error) => return Err(error),
    }
    Ok(socket)
}

/// Starts connecting to a numeric host and a port: a descriptor, or `-errno`.
#[napi]
pub fn socket_connect_internet(host: String, port: u16) -> Result<i32> {
    environment::with(|environment| {
        let connected = internet_address(&host, port).and_then(|address| connect(&address));
        match connected {
            Ok(socket) => environment.shared.hand_out(socket),
            Err(error) => environment.shared.fail(&error),
        }
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
