//! Listening sockets: bound, and with their file, before JavaScript sees them.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fdwire_ancillary::{self as ancillary, Address, Error, SocketFile};
use napi::Result;
use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;

use crate::descriptors::bad_descriptor;
use crate::environment::{self, Source};
use crate::socket::internet_address;
use crate::watch::Watch;

/// How a unix listener treats its file.
#[napi(object)]
pub struct SocketFileOptions {
    /// Permission bits, in place before anyone can connect.
    pub mode: Option<u32>,
    /// Whether the file is removed when the listener closes.
    pub unlink: bool,
    /// Whether a file that nobody listens on is replaced.
    pub replace_stale: bool,
    /// A directory made for the file alone, which goes with it.
    pub directory: Option<String>,
}

type Listening = std::result::Result<(OwnedFd, Option<BoundFile>), Error>;

/// A listener's socket file, and the directory made for it; both are removed when this is dropped.
pub(crate) struct BoundFile {
    file: Option<SocketFile>,
    directory: Option<PathBuf>,
}

impl Drop for BoundFile {
    fn drop(&mut self) {
        drop(self.file.take());
        if let Some(directory) = &self.directory {
            // Somebody may have put something there, or removed it: theirs to keep.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

fn listen_on(address: &Address, backlog: i32, options: Option<&SocketFileOptions>) -> Listening {
    let directory = options
        .and_then(|options| options.directory.as_ref())
        .map(PathBuf::from);
    let mut bound = BoundFile { file: None, directory };
    let socket = ancillary::stream_socket(address, true)?;
    match (address, options) {
        (Address::Unix(path), Some(options)) if path.first().is_some_and(|&byte| byte != 0) => {
            let path = Path::new(OsStr::from_bytes(path));
            let file = match ancillary::bind_file(socket.as_fd(), path, options.mode) {
                Err(error) if error.errno() as i32 == libc::EADDRINUSE && options.replace_stale => {
                    // What it finds shows in the second try.
                    let _ = ancillary::remove_stale(path);
                    ancillary::bind_file(socket.as_fd(), path, options.mode)?
                }
                bound => bound?,
            };
            if options.unlink {
                bound.file = Some(file);
            } else {
                file.keep();
            }
        }
        _ => {
            if matches!(address, Address::Inet(_)) {
                ancillary::set_reuse_address(socket.as_fd(), true)?;
            }
            ancillary::bind(socket.as_fd(), address)?;
        }
    }
    ancillary::listen(socket.as_fd(), backlog)?;
    Ok((socket, Some(bound)))
}

fn watch(realm: u32, listening: Listening) -> Result<i32> {
    environment::with(|environment| match listening {
        Ok((socket, file)) => {
            let realm = environment.realm(realm)?;
            Ok(environment.insert(realm, |token| Source::Watch(Watch::new(socket, token, file))) as i32)
        }
        Err(error) => Ok(environment.shared.fail(&error)),
    })?
}

/// Listens on a unix address: a watch, or `-errno`.
#[napi]
pub fn listen_unix(realm: u32, path: Uint8ArraySlice<'_>, backlog: i32, options: SocketFileOptions) -> Result<i32> {
    watch(
        realm,
        listen_on(&Address::Unix(path.as_ref().to_vec()), backlog, Some(&options)),
    )
}

/// Listens on a numeric host and a port: a watch, or `-errno`.
#[napi]
pub fn listen_internet(realm: u32, host: String, port: u16, backlog: i32) -> Result<i32> {
    watch(
        realm,
        internet_address(&host, port).and_then(|address| listen_on(&address, backlog, None)),
    )
}

/// Takes over a listening socket that JavaScript holds: a watch, or `-errno`.
#[napi]
pub fn listen_descriptor(realm: u32, fd: i32) -> Result<i32> {
    let owned = environment::with(|environment| environment.shared.take_back(fd))?;
    let listening = owned.ok_or_else(bad_descriptor).and_then(|socket| {
        // accept(2) has no per-call flag: a blocking listener that others share would stall the event loop.
        ancillary::set_nonblocking(socket.as_fd(), true)?;
        Ok((socket, None))
    });
    watch(realm, listening)
}
