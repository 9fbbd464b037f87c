//! Sockets before they are connections: addresses, connecting, credentials, options.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fdwire_ancillary::{self as ancillary, Address, Errno};
use fdwire_engine::Error;
use napi::Result;
use napi::bindgen_prelude::{Buffer, Either};
use napi_derive::napi;

use super::descriptor::borrow;
use crate::codes::{answer, code};
use crate::environment::answering;

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
pub(crate) fn internet_address(host: &str, port: u16) -> fdwire_engine::Result<Address> {
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
pub(crate) fn connect(address: &Address) -> fdwire_engine::Result<OwnedFd> {
    let socket = ancillary::stream_socket(address, true)?;
    match ancillary::connect(socket.as_fd(), address) {
        Ok(()) => ancillary::set_nonblocking(socket.as_fd(), false)?,
        Err(error) if error.errno() == Errno::EINPROGRESS => {}
        Err(error) => return Err(error.into()),
    }
    Ok(socket)
}

/// Starts connecting to a numeric host and a port: a descriptor, or a code.
#[napi(catch_unwind)]
pub fn socket_connect_internet(host: String, port: u16) -> Result<i32> {
    answering(|environment| {
        let socket = connect(&internet_address(&host, port)?)?;
        Ok(environment.shared().descriptors.hand_out(socket))
    })
}

/// The numeric addresses of a host; none where it is unknown. Blocks.
#[napi(catch_unwind)]
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

fn connected(fd: BorrowedFd<'_>) -> fdwire_engine::Result<()> {
    ancillary::take_error(fd)?;
    match ancillary::peer_address(fd) {
        Err(error) if error.errno() == Errno::ENOTCONN => Err(Error::System {
            syscall: "connect",
            errno: Errno::EINPROGRESS,
        }),
        _ => Ok(ancillary::set_nonblocking(fd, false)?),
    }
}

/// How connecting a descriptor went: 0 connected, and the socket blocks from now on; or a code, EINPROGRESS among them.
#[napi(catch_unwind)]
pub fn socket_connected(fd: i32) -> i32 {
    answer(borrow(fd, connected).map(|()| 0))
}

/// The address of this end, or of the other; or a code.
#[napi(catch_unwind)]
pub fn socket_address(fd: i32, peer: bool) -> Either<SocketAddress, i32> {
    let address = borrow(fd, |fd| {
        Ok::<_, Error>(if peer {
            ancillary::peer_address(fd)?
        } else {
            ancillary::local_address(fd)?
        })
    });
    match address {
        Ok(address) => Either::A(address.into()),
        Err(error) => Either::B(code(error)),
    }
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
#[napi(catch_unwind)]
pub fn socket_peer_credentials(fd: i32) -> Option<PeerCredentials> {
    let credentials = borrow(fd, |fd| Ok::<_, Error>(ancillary::peer_credentials(fd)?)).ok()?;
    Some(PeerCredentials {
        pid: credentials.pid,
        uid: credentials.uid,
        gid: credentials.gid,
    })
}
