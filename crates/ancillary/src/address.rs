//! Socket addresses, exact to the byte.

use std::mem::offset_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use nix::sys::socket::{SockaddrLike, SockaddrStorage, UnixAddr};

use crate::{Error, Result, platform};

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

/// A `sockaddr` of any family and its length.
pub(crate) struct RawAddress {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl RawAddress {
    const SIZE: libc::socklen_t = size_of::<libc::sockaddr_storage>() as libc::socklen_t;

    /// Space for the system to write any address to.
    pub(crate) fn new() -> Self {
        // SAFETY: plain bytes, for which all zeroes is a value.
        let storage = unsafe { std::mem::zeroed() };
        RawAddress {
            storage,
            length: Self::SIZE,
        }
    }

    /// `ENAMETOOLONG` for a path over 107 bytes (103 on BSD), `EINVAL` for one with a NUL in it.
    pub(crate) fn encode(syscall: &'static str, address: &Address) -> Result<Self> {
        match address {
            Address::Unix(name) => {
                let name = match name.as_slice() {
                    [] | [0, ..] => platform::nameless_or_abstract(name)?,
                    path => UnixAddr::new(path),
                };
                Ok(Self::copy(&name.map_err(|errno| Error::system(syscall, errno))?))
            }
            Address::Inet(address) => Ok(Self::copy(&SockaddrStorage::from(*address))),
        }
    }

    fn copy(source: &dyn SockaddrLike) -> Self {
        let mut raw = RawAddress::new();
        raw.set_length(source.len());
        let length = raw.length as usize;
        // SAFETY: `source` has `length` readable bytes, and `length` is clamped to the size of the storage.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr().cast::<u8>(), raw.as_mut_ptr().cast(), length) };
        raw
    }

    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        (&raw mut self.storage).cast()
    }

    pub(crate) fn length(&self) -> libc::socklen_t {
        self.length
    }

    /// The length the system reported, which may be larger than the space it had.
    pub(crate) fn set_length(&mut self, length: libc::socklen_t) {
        self.length = length.min(Self::SIZE);
    }

    pub(crate) fn family(&self) -> i32 {
        i32::from(self.storage.ss_family)
    }

    /// `None` for no address at all, and for a family other than unix and internet.
    pub(crate) fn decode(&self) -> Option<Address> {
        // SAFETY: the storage is initialised and at least `length` bytes.
        let bytes = unsafe { std::slice::from_raw_parts(self.as_ptr().cast::<u8>(), self.length as usize) };
        if bytes.len() < offset_of!(libc::sockaddr, sa_data) {
            return None;
        }
        match self.family() {
            libc::AF_UNIX => Some(Address::Unix(
                unix_name(&bytes[offset_of!(libc::sockaddr_un, sun_path)..]).to_vec(),
            )),
            libc::AF_INET if bytes.len() >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: family and length say that this is a sockaddr_in, and the storage is aligned for any sockaddr.
                let raw = unsafe { &*self.as_ptr().cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
                Some(Address::Inet(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into()))
            }
            libc::AF_INET6 if bytes.len() >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: as above, for sockaddr_in6.
                let raw = unsafe { &*self.as_ptr().cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                let port = u16::from_be(raw.sin6_port);
                Some(Address::Inet(
                    SocketAddrV6::new(ip, port, raw.sin6_flowinfo, raw.sin6_scope_id).into(),
                ))
            }
            _ => None,
        }
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
    use nix::errno::Errno;

    const LONGEST_PATH: usize = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path) - 1;

    fn unix(name: &[u8]) -> Result<RawAddress> {
        RawAddress::encode("bind", &Address::Unix(name.to_vec()))
    }

    fn round_trip(address: &Address) -> Option<Address> {
        RawAddress::encode("bind", address).ok()?.decode()
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
                    assert_eq!(raw.decode(), Some(Address::Unix(name.to_vec())));
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
