//! Listening sockets: bound, and with their file, before JavaScript sees them.

use fdwire_ancillary::Address;
use fdwire_engine::{Listener, SocketFileSettings, Subject};
use napi::Result;
use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;

use super::descriptor::BAD_DESCRIPTOR;
use super::socket::internet_address;
use super::watch;
use crate::environment::answering;

/// How a unix listener treats its file.
#[derive(Debug)]
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

impl From<SocketFileOptions> for SocketFileSettings {
    fn from(options: SocketFileOptions) -> SocketFileSettings {
        let SocketFileOptions {
            mode,
            unlink,
            replace_stale,
            directory,
        } = options;
        SocketFileSettings {
            mode,
            unlink,
            replace_stale,
            directory,
        }
    }
}

/// Listens on a unix address: a watch, or a code.
#[napi(catch_unwind)]
pub fn listen_unix(realm: u32, path: Uint8ArraySlice<'_>, backlog: i32, options: SocketFileOptions) -> Result<i32> {
    let address = Address::Unix(path.as_ref().to_vec());
    let settings = options.into();
    watch::open(realm, || {
        Ok(Subject::Listener(Box::new(Listener::listen(
            &address,
            backlog,
            Some(&settings),
        )?)))
    })
}

/// Listens on a numeric host and a port: a watch, or a code.
#[napi(catch_unwind)]
pub fn listen_internet(realm: u32, host: String, port: u16, backlog: i32) -> Result<i32> {
    watch::open(realm, || {
        let address = internet_address(&host, port)?;
        Ok(Subject::Listener(Box::new(Listener::listen(&address, backlog, None)?)))
    })
}

/// Takes over a listening socket that JavaScript holds, whose file is given the mode, and removed where that is asked for:
/// a watch, or a code with the descriptor left where it was.
#[napi(catch_unwind)]
pub fn listen_descriptor(realm: u32, fd: i32, options: SocketFileOptions, backlog: Option<i32>) -> Result<i32> {
    let settings = options.into();
    answering(|environment| {
        let realm = environment.realm(realm)?;
        let socket = environment.shared().descriptors.take_back(fd).ok_or(BAD_DESCRIPTOR)?;
        match Listener::adopt(socket, &settings, backlog) {
            Ok(listener) => Ok(watch::insert(environment, realm, Subject::Listener(Box::new(listener)))),
            Err((socket, error)) => {
                environment.shared().descriptors.hand_out(socket);
                Err(error)
            }
        }
    })
}
