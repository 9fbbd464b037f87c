//! The file of a bound unix socket: its mode, its removal, and whether anybody still listens on it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fdwire_system::{Error, Result};
use nix::errno::Errno;

use crate::address::Address;
use crate::socket::{bind, connect, local_address, stream_socket};

/// The file a socket was bound to, unlinked on drop if it is still the one we made.
///
/// Drop it before the listening descriptor: the kernel keeps the inode number from being used again only as long as the
/// socket is open.
#[derive(Debug)]
pub struct SocketFile {
    /// Absolute: the working directory may change.
    path: PathBuf,
    identity: Option<Identity>,
}

/// Binds `socket` to `path`. Nobody can connect before `listen`, so `mode` is right from the start.
pub fn bind_file(socket: BorrowedFd<'_>, path: &Path, mode: Option<u32>) -> Result<SocketFile> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io("bind", &error))?;
    bind(socket, &address(path))?;
    let identity = identity("lstat", &absolute)?;
    let file = SocketFile {
        path: absolute,
        identity: Some(identity),
    };
    if let Some(mode) = mode {
        set_mode(&file.path, mode)?;
    }
    Ok(file)
}

/// The file that `socket` was bound to, given that `mode`; none where it has no name or an abstract one, or where there is
/// no socket at that path any more. Whether it is the same file cannot be told.
pub fn file_of(socket: BorrowedFd<'_>, mode: Option<u32>) -> Result<Option<SocketFile>> {
    let Address::Unix(path) = local_address(socket)? else {
        return Ok(None);
    };
    if path.first().is_none_or(|&byte| byte == 0) {
        return Ok(None);
    }
    let path = std::path::absolute(OsStr::from_bytes(&path)).map_err(|error| Error::io("lstat", &error))?;
    let identity = match identity("lstat", &path) {
        Ok(identity) => identity,
        Err(error) if is_missing(error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if let Some(mode) = mode {
        set_mode(&path, mode)?;
    }
    Ok(Some(SocketFile {
        path,
        identity: Some(identity),
    }))
}

impl SocketFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Unlinks the file if it is still ours; says whether it was. Later calls do nothing.
    pub fn remove(&mut self) -> Result<bool> {
        match self.identity.take() {
            Some(identity) => unlink(&self.path, identity),
            None => Ok(false),
        }
    }

    /// Leaves the file where it is.
    pub fn keep(mut self) {
        self.identity = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Nobody is left to tell; whoever wants to know calls remove().
        let _ = self.remove();
    }
}

/// Whether `path` is a socket file that nobody listens on, found out by connecting: a listener that is alive sees a
/// connection that closes at once. Fails if there is no file (`ENOENT`) or it is no socket
/// (`ENOTSOCK`, symbolic links included).
///
/// A socket that is bound and does not listen yet looks stale. So does a full queue, on BSD and macOS only.
pub fn is_stale(path: &Path) -> Result<bool> {
    identity("lstat", path)?;
    probe(path)
}

/// Unlinks `path` if it is [stale](is_stale); says whether it was.
pub fn remove_stale(path: &Path) -> Result<bool> {
    let identity = identity("lstat", path)?;
    Ok(probe(path)? && unlink(path, identity)?)
}

fn probe(path: &Path) -> Result<bool> {
    let address = address(path);
    let socket = stream_socket(&address, true)?;
    match connect(socket.as_fd(), &address).map_err(|error| error.errno()) {
        Err(Errno::ECONNREFUSED) => Ok(true),
        // Alive: a full queue (EAGAIN), or a socket of another type.
        Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS | Errno::EPROTOTYPE) => Ok(false),
        Err(errno) => Err(Error::system("connect", errno)),
    }
}

fn address(path: &Path) -> Address {
    Address::Unix(path.as_os_str().as_bytes().to_vec())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// Of a socket file; `ENOTSOCK` for any other.
fn identity(syscall: &'static str, path: &Path) -> Result<Identity> {
    let metadata = fs::symlink_metadata(path).map_err(|error| Error::io(syscall, &error))?;
    if !metadata.file_type().is_socket() {
        return Err(Error::system(syscall, Errno::ENOTSOCK));
    }
    Ok(Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}

/// Whether there is no socket file at a path, as [`identity`] tells it.
fn is_missing(error: Error) -> bool {
    matches!(error.errno(), Errno::ENOENT | Errno::ENOTDIR | Errno::ENOTSOCK)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| Error::io("chmod", &error))
}

fn unlink(path: &Path, ours: Identity) -> Result<bool> {
    match identity("unlink", path) {
        Ok(found) if found == ours => {}
        // Gone, or somebody else's by now.
        Ok(_) => return Ok(false),
        Err(error) if is_missing(error) => return Ok(false),
        Err(error) => return Err(error),
    }
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("unlink", &error)),
    }
}
