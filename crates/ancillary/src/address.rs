//! Socket addresses, exact to the byte.

use std::mem::offset_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use fdwire_system::{Result, check};
use nix::sys::socket::{SockaddrStorage, UnixAddr};

use crate::platform;
use crate::raw_address::RawAddress;

/// Where a socket is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A path; with a leading NUL a Linux abstract name, of exactly this length; empty for an unnamed socket.
    Unix(Vec<u8>),
    /// TCP or UDP.
    Inet(SocketAddr),
}

impl Address {
    /// `AF_UNIX`, `AF_INET` or `AF_INET6`.
    pub fn family(&self) -> i32 {
        match self {
            Address::Unix(_) => libc::AF_UNIX,
            Address::Inet(SocketAddr::V4(_)) => libc::AF_INET,
            Address::Inet(SocketAddr::V6(_)) => libc::AF_INET6,
        }
    }
}

/// `ENAMETOOLONG` for a path over 107 bytes (103 on BSD), `EINVAL` for one with a NUL in it.
pub(crate) fn encode(syscall: &'static str, address: &Address) -> Result<RawAddress> {
    match address {
        Address::Unix(name) => {
            let name = match name.as_slice() {
                [] | [0, ..] => platform::nameless_or_abstract(name)?,
                path => UnixAddr::new(path),
            };
            Ok(RawAddress::copy(&check(syscall, name)?))
        }
        Address::Inet(address) => Ok(RawAddress::copy(&SockaddrStorage::from(*address))),
    }
}

/// `None` for no address at all, and for a family other than unix and internet.
pub(crate) fn decode(raw: &RawAddress) -> Option<Address> {
    let bytes = raw.bytes();
    if bytes.len() < offset_of!(libc::sockaddr, sa_data) {
        return None;
    }
    match raw.family() {
        libc::AF_UNIX => Some(Address::Unix(
            unix_name(&bytes[offset_of!(libc::sockaddr_un, sun_path)..]).to_vec(),
        )),
        libc::AF_INET if bytes.len() >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: family and length say that this is a sockaddr_in, and the storage is aligned for any sockaddr.
            let inet = unsafe { &*raw.as_ptr().cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(inet.sin_addr.s_addr));
            Some(Address::Inet(SocketAddrV4::new(ip, u16::from_be(inet.sin_port)).into()))
        }
        libc::AF_INET6 if bytes.len() >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above, for sockaddr_in6.
            let inet = unsafe { &*raw.as_ptr().cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(inet.sin6_addr.s6_addr);
            let port = u16::from_be(inet.sin6_port);
            Some(Address::Inet(
                SocketAddrV6::new(ip, port, inet.sin6_flowinfo, inet.sin6_scope_id).into(),
            ))
        }
        _ => None,
    }
}

/// The name within `sun_path`, of which `path` is as much as the address length covers.
fn unix_name(path: &[u8]) -> &[u8] {
    if path.first() == Some(&0) {
        // Elsewhere (macOS) zeroes are how an unnamed socket looks.
        return if platform::ABSTRACT_NAMES { path } else { &[] };
    }
    // The length may or may not count a NUL at the end, and a path that fills sun_path has none.
    path.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fdwire_system::Errno;

    const LONGEST_PATH: usize = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path) - 1;

    fn unix(name: &[u8]) -> Result<RawAddress> {
        encode("bind", &Address::Unix(name.to_vec()))
    }

    fn round_trip(address: &Address) -> Option<Address> {
        encode("bind", address).ok().and_then(|raw| decode(&raw))
    }

    #[test]
    fn addresses_survive_a_round_trip() {
        let longest = vec![b'x'; LONGEST_PATH];
        for name in [b"/run/app.sock".as_slice(), b"relative", b"/tmp/\xff\xfe", &longest] {
            assert_eq!(
                round_trip(&Address::Unix(name.to_vec())),
                Some(Address::Unix(name.to_vec()))
            );
        }
        for inet in ["127.0.0.1:80", "[::1]:65535", "[fe80::1%3]:1"] {
            let address = Address::Inet(inet.parse().unwrap());
            assert_eq!(round_trip(&address), Some(address));
        }
    }

    #[test]
    fn abstract_names_have_exactly_their_length() {
        let header = offset_of!(libc::sockaddr_un, sun_path);
        for name in [b"".as_slice(), b"\0", b"\0name", b"\0a\0b\0", &[0; LONGEST_PATH + 1]] {
            match unix(name) {
                Ok(raw) => {
                    assert_eq!(raw.length() as usize, header + name.len());
                    assert_eq!(decode(&raw), Some(Address::Unix(name.to_vec())));
                }
                Err(error) => assert_eq!((error.errno(), platform::ABSTRACT_NAMES), (Errno::ENOTSUP, false)),
            }
        }
        assert!(unix(&[0; LONGEST_PATH + 2]).is_err());
    }

    #[test]
    fn a_path_that_does_not_fit_or_holds_a_nul_is_refused() {
        let errno = |name: &[u8]| unix(name).err().map(|error| error.errno());
        assert_eq!(errno(&[b'x'; LONGEST_PATH]), None);
        assert_eq!(errno(&[b'x'; LONGEST_PATH + 1]), Some(Errno::ENAMETOOLONG));
        assert_eq!(errno(&[b'x'; 1000]), Some(Errno::ENAMETOOLONG));
        assert_eq!(errno(b"/tmp/a\0b"), Some(Errno::EINVAL));
    }

    #[test]
    fn a_path_with_or_without_a_nul_at_its_end_is_the_same() {
        assert_eq!(unix_name(b"/tmp/s\0"), b"/tmp/s");
        assert_eq!(unix_name(b"/tmp/s"), b"/tmp/s");
        assert_eq!(unix_name(&[b'x'; 108]), [b'x'; 108]);
        assert_eq!(unix_name(b""), b"");
    }
}
