//! The file of a bound socket.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use fdwire_ancillary::{
    Address, SocketFile, accept, bind_file, connect, is_stale, listen, remove_stale, stream_socket,
};
use nix::errno::Errno;
use tempfile::TempDir;

fn address(path: &Path) -> Address {
    Address::Unix(path.as_os_str().as_bytes().to_vec())
}

fn bound(path: &Path, mode: Option<u32>) -> (OwnedFd, SocketFile) {
    let socket = stream_socket(&address(path), false).unwrap();
    let file = bind_file(socket.as_fd(), path, mode).unwrap();
    (socket, file)
}

/// A file that a listener left behind.
fn stale(path: &Path) {
    let (socket, file) = bound(path, None);
    listen(socket.as_fd(), 1).unwrap();
    file.keep();
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn the_mode_is_right_before_anyone_can_connect() {
    let directory = directory();
    for mode in [0o600, 0o666, 0o777] {
        let path = directory.path().join(format!("{mode:o}"));
        let (socket, _file) = bound(&path, Some(mode));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
        let client = stream_socket(&address(&path), false).unwrap();
        assert_eq!(
            connect(client.as_fd(), &address(&path)).unwrap_err().errno(),
            Errno::ECONNREFUSED
        );
        listen(socket.as_fd(), 1).unwrap();
        connect(client.as_fd(), &address(&path)).unwrap();
    }
}

#[test]
fn removing_unlinks_once() {
    let directory = directory();
    let path = directory.path().join("socket");
    let (_socket, mut file) = bound(&path, None);
    assert_eq!(file.path(), path);
    assert_eq!(file.remove(), Ok(true));
    assert!(!path.exists());
    assert_eq!(file.remove(), Ok(false));
}

#[test]
fn dropping_unlinks_and_keeping_does_not() {
    let directory = directory();
    let path = directory.path().join("socket");
    drop(bound(&path, None).1);
    assert!(!path.exists());
    bound(&path, None).1.keep();
    assert!(path.exists());
}

#[test]
fn what_is_not_ours_any_more_stays() {
    let directory = directory();
    let path = directory.path().join("socket");
    let (_socket, mut file) = bound(&path, None);
    fs::remove_file(&path).unwrap();
    let (_other, _other_file) = bound(&path, None);
    assert_eq!(file.remove(), Ok(false));
    assert!(path.exists());

    let path = directory.path().join("file");
    let (_socket, mut file) = bound(&path, None);
    fs::remove_file(&path).unwrap();
    assert_eq!(file.remove(), Ok(false));
    let (_socket, file) = bound(&path, None);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "something else").unwrap();
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), b"something else");
}

#[test]
fn binding_to_what_exists_fails_and_leaves_it() {
    let directory = directory();
    let path = directory.path().join("socket");
    stale(&path);
    let socket = stream_socket(&address(&path), false).unwrap();
    let error = bind_file(socket.as_fd(), &path, None).unwrap_err();
    assert_eq!((error.errno(), error.syscall()), (Errno::EADDRINUSE, "bind"));
    assert!(path.exists());
}

#[test]
fn a_file_that_nobody_listens_on_is_stale() {
    let directory = directory();
    let path = directory.path().join("socket");
    stale(&path);
    assert_eq!(is_stale(&path), Ok(true));
    assert_eq!(remove_stale(&path), Ok(true));
    assert!(!path.exists());
}

#[test]
fn a_listener_is_alive_also_with_a_full_queue() {
    let directory = directory();
    let path = directory.path().join("socket");
    let (listener, _file) = bound(&path, None);
    listen(listener.as_fd(), 4).unwrap();
    assert_eq!(is_stale(&path), Ok(false));
    // The probe was a connection like any other.
    accept(listener.as_fd()).unwrap();

    let mut clients = Vec::new();
    loop {
        let client = stream_socket(&address(&path), true).unwrap();
        match connect(client.as_fd(), &address(&path)) {
            Ok(()) => clients.push(client),
            Err(error) => break assert_eq!(error.errno() == Errno::EAGAIN, cfg!(target_os = "linux")),
        }
    }
    // Elsewhere a full queue refuses, as a stale file does.
    if cfg!(target_os = "linux") {
        assert_eq!(is_stale(&path), Ok(false));
        assert_eq!(remove_stale(&path), Ok(false));
        assert!(path.exists());
    }
}

#[test]
fn a_socket_of_another_type_is_alive() {
    let directory = directory();
    let path = directory.path().join("socket");
    let socket = fdwire_ancillary::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0).unwrap();
    let _file = bind_file(socket.as_fd(), &path, None).unwrap();
    assert_eq!(is_stale(&path), Ok(false));
}

#[test]
fn what_is_no_socket_is_an_error_and_stays() {
    let directory = directory();
    let (file, link, socket) = (
        directory.path().join("file"),
        directory.path().join("link"),
        directory.path().join("socket"),
    );
    fs::write(&file, "text").unwrap();
    stale(&socket);
    symlink(&socket, &link).unwrap();
    for path in [&file, &link, &directory.path().to_path_buf()] {
        assert_eq!(is_stale(path).unwrap_err().errno(), Errno::ENOTSOCK);
        assert_eq!(remove_stale(path).unwrap_err().errno(), Errno::ENOTSOCK);
        assert!(path.exists());
    }
    assert_eq!(
        is_stale(&directory.path().join("missing")).unwrap_err().errno(),
        Errno::ENOENT
    );
}
