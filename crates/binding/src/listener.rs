//! Listening sockets: bound, and with their file, before JavaScript sees them.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fdwire_ancillary::{self as ancillary, Address, Errno, Error, Readiness, SocketFile};
use fdwire_multiplexer::{Budget, Interest};
use napi::Result;
use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;

use crate::codes::WOULD_BLOCK;
use crate::connection::{Transport, transport};
use crate::descriptors::bad_descriptor;
use crate::environment::{self, Shared, Source};
use crate::socket::internet_address;
use crate::watch::{Subject, Watch};

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

/// What one accept costs a turn's budget: 64 in a turn.
const ACCEPT: usize = 12 * 1024;

/// What is known of the connections that wait in the kernel's queue.
#[derive(Clone, Copy, PartialEq)]
enum Queue {
    Unknown,
    /// There may be one: an event said so.
    Filled,
    /// There was none; the next one gives rise to an event.
    Empty,
}

/// A listening socket.
pub(crate) struct Listener {
    /// The file it is bound to; removed, where it is ours, before the descriptor closes.
    #[expect(dead_code, reason = "held for what dropping it does")]
    file: Option<BoundFile>,
    socket: OwnedFd,
    /// Of the connections.
    transport: Transport,
    queue: Queue,
    budget: Budget,
}

/// A connection just accepted.
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Address,
    pub(crate) transport: Transport,
}

impl Listener {
    fn new(socket: OwnedFd, file: Option<BoundFile>, transport: Transport) -> Listener {
        Listener {
            file,
            socket,
            transport,
            queue: Queue::Unknown,
            budget: Budget::new(),
        }
    }

    /// There may be connections.
    pub(crate) fn ready(&mut self) {
        self.queue = Queue::Filled;
    }

    /// Whether there were none when they were looked for last.
    pub(crate) fn is_drained(&self) -> bool {
        self.queue == Queue::Empty
    }

    fn accept(&mut self) -> std::result::Result<Accepted, Error> {
        // accept(2) makes a socket before it finds that there is no connection: poll(2) says so at a tenth of the cost.
        if self.queue == Queue::Unknown {
            let ready = ancillary::poll(self.socket.as_fd(), Readiness::READABLE, Some(Duration::ZERO))?;
            if !ready.readable {
                self.queue = Queue::Empty;
            }
        }
        if self.queue == Queue::Empty {
            return Err(EMPTY);
        }
        self.queue = Queue::Unknown;
        let (socket, peer) = ancillary::accept(self.socket.as_fd())?;
        Ok(Accepted {
            socket,
            peer,
            transport: self.transport,
        })
    }
}

const EMPTY: Error = Error::System {
    syscall: "accept",
    errno: Errno::EAGAIN,
};

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Watch {
    /// Takes the next connection of the kernel's queue, or says WOULD_BLOCK; with `report` also where this turn had its
    /// share, and the next one will be reported.
    pub(crate) fn accept(&mut self, shared: &Shared, report: bool) -> std::result::Result<Accepted, i32> {
        let Subject::Listener(listener) = &mut self.fd else {
            return Err(-libc::EBADF);
        };
        let turn = shared.turn.get();
        if report && listener.budget.exhausted(turn) {
            self.await_turn(shared);
            return Err(WOULD_BLOCK);
        }
        match listener.accept() {
            Ok(accepted) => {
                listener.budget.spend(turn, ACCEPT);
                Ok(accepted)
            }
            Err(error) if error.would_block() => {
                if report {
                    self.arm(shared, Interest::Read)?;
                }
                Err(WOULD_BLOCK)
            }
            Err(error) => Err(shared.fail(&error)),
        }
    }
}

type Listening = std::result::Result<Listener, Error>;

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
    let transport = match address {
        Address::Unix(_) => Transport::Unix,
        Address::Inet(_) => Transport::Socket,
    };
    Ok(Listener::new(socket, Some(bound), transport))
}

fn watch(realm: u32, listening: Listening) -> Result<i32> {
    environment::with(|environment| match listening {
        Ok(listener) => {
            let realm = environment.realm(realm)?;
            let subject = Subject::Listener(Box::new(listener));
            Ok(environment.insert(realm, |token| Source::Watch(Box::new(Watch::new(subject, token)))) as i32)
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
        let transport = transport(socket.as_fd())?;
        Ok(Listener::new(socket, None, transport))
    });
    watch(realm, listening)
}
