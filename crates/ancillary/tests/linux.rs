//! What only Linux has.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod util;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use fdwire_ancillary::{
    Address, ControlBuffer, ControlMessage, Credentials, Kind, Outgoing, Source, Target, accept, bind, connect,
    inheritable, kind, listen, local_address, option, pair, peer_address, receive_message, send_message, set_option,
    stream_socket,
};
use util::put;

fn name(suffix: &[u8]) -> Address {
    let unique = format!("\0fdwire-ancillary-{}-", std::process::id());
    Address::Unix([unique.as_bytes(), suffix].concat())
}

#[test]
fn an_abstract_name_is_exactly_as_long_as_given() {
    // Names that differ only in NULs at the end are different names.
    for suffix in [b"a".as_slice(), b"a\0", b"a\0\0", b"\xff\0x"] {
        let address = name(suffix);
        let listener = stream_socket(&address, false).unwrap();
        bind(listener.as_fd(), &address).unwrap();
        listen(listener.as_fd(), 1).unwrap();
        assert_eq!(local_address(listener.as_fd()), Ok(address.clone()));

        let client = stream_socket(&address, false).unwrap();
        connect(client.as_fd(), &address).unwrap();
        assert_eq!(peer_address(client.as_fd()), Ok(address));
        assert_eq!(accept(listener.as_fd()).unwrap().1, Address::Unix(Vec::new()));
        let longer = name(&[suffix, b"\0"].concat());
        assert!(connect(stream_socket(&longer, false).unwrap().as_fd(), &longer).is_err());
    }
}

#[test]
fn the_longest_abstract_name_has_108_bytes() {
    let Address::Unix(mut bytes) = name(b"") else {
        unreachable!()
    };
    bytes.resize(108, b'x');
    let address = Address::Unix(bytes.clone());
    let listener = stream_socket(&address, false).unwrap();
    bind(listener.as_fd(), &address).unwrap();
    assert_eq!(local_address(listener.as_fd()), Ok(address));
    bytes.push(b'x');
    assert_eq!(
        bind(listener.as_fd(), &Address::Unix(bytes)).unwrap_err().errno(),
        nix::errno::Errno::ENAMETOOLONG
    );
}

#[test]
fn an_empty_name_lets_linux_choose_one() {
    let listener = stream_socket(&Address::Unix(Vec::new()), false).unwrap();
    bind(listener.as_fd(), &Address::Unix(Vec::new())).unwrap();
    let Address::Unix(chosen) = local_address(listener.as_fd()).unwrap() else {
        panic!("not a unix address")
    };
    assert_eq!((chosen.len(), chosen[0]), (6, 0));
}

#[test]
fn memory_and_event_descriptors_are_told_from_files() {
    // SAFETY: the calls take a NUL-terminated name or no pointer, and make the descriptors owned here.
    let (memfd, eventfd, pidfd) = unsafe {
        (
            OwnedFd::from_raw_fd(libc::memfd_create(c"memory".as_ptr(), libc::MFD_CLOEXEC)),
            OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC)),
            OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) as i32),
        )
    };
    assert_eq!(kind(memfd.as_fd()), Ok(Kind::Memfd));
    assert_eq!(kind(eventfd.as_fd()), Ok(Kind::Anon));
    assert_eq!(kind(pidfd.as_fd()), Ok(Kind::Anon));
    assert_eq!(kind(tempfile::tempfile().unwrap().as_fd()), Ok(Kind::File));
}

const ON: [u8; 4] = 1_i32.to_ne_bytes();

fn receive_one(socket: &impl AsFd, max_fds: usize) -> fdwire_ancillary::ReceivedMessage {
    let mut byte = [0];
    receive_message(
        socket.as_fd(),
        &mut [Target::new(&mut byte)],
        &mut ControlBuffer::new(),
        max_fds,
        0,
    )
    .unwrap()
}

fn ourselves() -> Credentials {
    // SAFETY: these calls take nothing and cannot fail.
    unsafe {
        Credentials {
            pid: libc::getpid(),
            uid: libc::getuid(),
            gid: libc::getgid(),
        }
    }
}

#[test]
fn credentials_go_with_a_message() {
    let (left, right) = pair().unwrap();
    set_option(right.as_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, &ON).unwrap();
    let fds = [left.as_fd()];
    let message = Outgoing {
        fds: &fds,
        credentials: Some(ourselves()),
        ..Outgoing::default()
    };
    send_message(left.as_fd(), &[Source::new(b"x")], &message).unwrap();
    let received = receive_one(&right, 1);
    assert_eq!((received.credentials, received.fds.len()), (Some(ourselves()), 1));
    assert!(received.control.is_empty());
}

#[test]
fn other_control_messages_are_sent_and_delivered_as_they_are() {
    let (left, right) = pair().unwrap();
    set_option(right.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMP, &ON).unwrap();
    set_option(right.as_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, &ON).unwrap();
    let Credentials { pid, uid, gid } = ourselves();
    let data = [pid.to_ne_bytes(), uid.to_ne_bytes(), gid.to_ne_bytes()].concat();
    let control = [ControlMessage {
        level: libc::SOL_SOCKET,
        kind: libc::SCM_CREDENTIALS,
        data,
    }];
    let message = Outgoing {
        control: &control,
        ..Outgoing::default()
    };
    send_message(left.as_fd(), &[Source::new(b"x")], &message).unwrap();
    assert_eq!(receive_one(&right, 0).credentials, Some(ourselves()));
}

#[test]
fn a_pidfd_that_comes_with_a_message_is_owned() {
    const SO_PASSPIDFD: i32 = 76;
    let (left, right) = pair().unwrap();
    let mut value = [0; 4];
    if option(right.as_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, &mut value).is_err() {
        return; // Linux before 6.5
    }
    set_option(right.as_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, &ON).unwrap();
    put(&left, b"x", &[left.as_fd()]);
    let received = receive_one(&right, 1);
    let pidfd = received.pidfd.unwrap();
    assert_eq!((kind(pidfd.as_fd()), received.fds.len()), (Ok(Kind::Anon), 1));
    assert!(!inheritable(pidfd.as_fd()).unwrap());
    assert!(pidfd.as_raw_fd() != received.fds[0].as_raw_fd() && received.control.is_empty());
}
