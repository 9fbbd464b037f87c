//! Names, connections, credentials.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fdwire_ancillary::{
    Address, Readiness, Shutdown, accept, bind, connect, inheritable, listen, local_address, no_delay, option, pair,
    peer_address, peer_credentials, poll, set_no_delay, set_nonblocking, set_option, set_reuse_address, shutdown,
    stream_socket, take_error,
};
use nix::errno::Errno;

const LONGEST_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

fn unix(path: &Path) -> Address {
    Address::Unix(path.as_os_str().as_bytes().to_vec())
}

fn listener(address: &Address, backlog: i32) -> OwnedFd {
    let socket = stream_socket(address, false).unwrap();
    bind(socket.as_fd(), address).unwrap();
    listen(socket.as_fd(), backlog).unwrap();
    socket
}

fn client(address: &Address) -> OwnedFd {
    let socket = stream_socket(address, false).unwrap();
    connect(socket.as_fd(), address).unwrap();
    socket
}

fn nonblocking(fd: &OwnedFd) -> bool {
    let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL).unwrap();
    flags & libc::O_NONBLOCK != 0
}

#[test]
fn paths_of_any_bytes_up_to_the_longest_come_back_as_given() {
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let prefix = directory.path().as_os_str().len() + 1;
    let longest = vec![b'x'; LONGEST_PATH - prefix];
    // macOS has UTF-8 names only.
    let odd: &[u8] = if cfg!(target_vendor = "apple") {
        "\u{f6}".as_bytes()
    } else {
        b"\xff\xfe"
    };
    for name in [b"plain".as_slice(), odd, &longest] {
        let address = unix(&directory.path().join(OsStr::from_bytes(name)));
        let listener = listener(&address, 1);
        assert_eq!(local_address(listener.as_fd()), Ok(address.clone()));
        let client = client(&address);
        assert_eq!(peer_address(client.as_fd()), Ok(address));
        let (accepted, peer) = accept(listener.as_fd()).unwrap();
        assert_eq!(peer, Address::Unix(Vec::new()));
        assert_eq!(inheritable(accepted.as_fd()), Ok(false));
    }
    let too_long = unix(
        &directory
            .path()
            .join(OsStr::from_bytes(&[longest, vec![b'x']].concat())),
    );
    let socket = stream_socket(&too_long, false).unwrap();
    for error in [
        bind(socket.as_fd(), &too_long).unwrap_err(),
        connect(socket.as_fd(), &too_long).unwrap_err(),
    ] {
        assert_eq!(error.errno(), Errno::ENAMETOOLONG);
    }
}

#[test]
fn accepting_from_a_non_blocking_listener_gives_a_blocking_socket() {
    let directory = tempfile::tempdir().unwrap();
    let address = unix(&directory.path().join("socket"));
    let listener = listener(&address, 1);
    set_nonblocking(listener.as_fd(), true).unwrap();
    assert!(accept(listener.as_fd()).unwrap_err().would_block());
    let _client = client(&address);
    assert!(!nonblocking(&accept(listener.as_fd()).unwrap().0));
    assert!(nonblocking(&stream_socket(&address, true).unwrap()));
}

#[test]
fn connecting_to_nothing_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let address = unix(&directory.path().join("socket"));
    let socket = stream_socket(&address, false).unwrap();
    let error = connect(socket.as_fd(), &address).unwrap_err();
    assert_eq!((error.errno(), error.syscall()), (Errno::ENOENT, "connect"));
    drop(listener(&address, 1));
    assert_eq!(
        connect(socket.as_fd(), &address).unwrap_err().errno(),
        Errno::ECONNREFUSED
    );
}

#[test]
fn tcp_connections_know_both_ends() {
    let any_port = Address::Inet("127.0.0.1:0".parse().unwrap());
    let listener = listener(&any_port, 1);
    let address = local_address(listener.as_fd()).unwrap();
    let client = client(&address);
    let (accepted, peer) = accept(listener.as_fd()).unwrap();
    assert_eq!(peer_address(client.as_fd()), Ok(address));
    assert_eq!(local_address(client.as_fd()), Ok(peer.clone()));
    assert_eq!(peer_address(accepted.as_fd()), Ok(peer));
    assert_eq!(peer_credentials(client.as_fd()).unwrap_err().errno(), Errno::ENOTCONN);

    assert_eq!(no_delay(client.as_fd()), Ok(false));
    set_no_delay(client.as_fd(), true).unwrap();
    assert_eq!(no_delay(client.as_fd()), Ok(true));
}

#[test]
fn a_connect_in_progress_ends_in_success_or_its_error() {
    let any_port = Address::Inet("127.0.0.1:0".parse().unwrap());
    let listener = listener(&any_port, 1);
    let address = local_address(listener.as_fd()).unwrap();
    let finish = |address: &Address| {
        let socket = stream_socket(address, true).unwrap();
        match connect(socket.as_fd(), address) {
            Err(error) if error.errno() == Errno::EINPROGRESS => {
                poll(socket.as_fd(), Readiness::WRITABLE, None).unwrap();
                take_error(socket.as_fd())
            }
            result => result,
        }
    };
    assert_eq!(finish(&address), Ok(()));
    drop(listener);
    assert_eq!(finish(&address).unwrap_err().errno(), Errno::ECONNREFUSED);
}

#[test]
fn ipv6_addresses_are_like_others() {
    let address: SocketAddr = "[::1]:0".parse().unwrap();
    let socket = stream_socket(&Address::Inet(address), false).unwrap();
    // Without IPv6 on the machine there is no such address.
    if bind(socket.as_fd(), &Address::Inet(address)).is_ok() {
        let Address::Inet(bound) = local_address(socket.as_fd()).unwrap() else {
            panic!("not an internet address")
        };
        assert_eq!(bound.ip(), address.ip());
        assert_ne!(bound.port(), 0);
    }
}

#[test]
fn the_peer_of_a_pair_is_ourselves() {
    let (left, _right) = pair().unwrap();
    let peer = peer_credentials(left.as_fd()).unwrap();
    assert_eq!(peer.pid, std::process::id() as i32);
    // SAFETY: these calls take nothing and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    assert_eq!((peer.uid, peer.gid), (uid, gid));
    assert_eq!(peer_address(left.as_fd()), Ok(Address::Unix(Vec::new())));
}

#[test]
fn a_socket_without_a_peer_has_no_credentials() {
    let socket = stream_socket(&Address::Unix(Vec::new()), false).unwrap();
    assert_eq!(peer_credentials(socket.as_fd()).unwrap_err().errno(), Errno::ENOTCONN);
    assert_eq!(peer_address(socket.as_fd()).unwrap_err().errno(), Errno::ENOTCONN);
}

#[test]
fn options_are_read_and_written() {
    let (left, right) = pair().unwrap();
    let mut value = [0; 4];
    set_option(left.as_fd(), libc::SOL_SOCKET, libc::SO_KEEPALIVE, &1_i32.to_ne_bytes()).unwrap();
    assert_eq!(
        option(left.as_fd(), libc::SOL_SOCKET, libc::SO_KEEPALIVE, &mut value),
        Ok(4)
    );
    assert_ne!(i32::from_ne_bytes(value), 0);
    set_reuse_address(left.as_fd(), true).unwrap();
    assert_eq!(
        option(left.as_fd(), libc::SOL_SOCKET, -1, &mut value)
            .unwrap_err()
            .errno(),
        Errno::ENOPROTOOPT
    );

    shutdown(left.as_fd(), Shutdown::Both).unwrap();
    assert_eq!(poll(right.as_fd(), Readiness::READABLE, None), Ok(Readiness::READABLE));
}
