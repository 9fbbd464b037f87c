//! Listening sockets: bound, and with their file, before anybody sees them.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fdwire_ancillary::{self as ancillary, Address, Errno, Readiness, SocketFile};
use fdwire_multiplexer::Budget;

use crate::outcome::{Error, Result};
use crate::transport::{Kind, kind};

/// What one accept costs a turn's budget: 64 in a turn.
const ACCEPT: usize = 12 * 1024;

const EMPTY: Error = Error::system("accept", Errno::EAGAIN);

/// How a unix listener treats its file.
#[derive(Clone, Debug, Default)]
pub struct SocketFileSettings {
    /// Permission bits, in place before anyone can connect.
    pub mode: Option<u32>,
    /// Whether the file is removed when the listener closes.
    pub unlink: bool,
    /// Whether a file that nobody listens on is replaced.
    pub replace_stale: bool,
    /// A directory made for the file alone, which goes with it.
    pub directory: Option<String>,
}

/// What is known of the connections that wait in the kernel's queue.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Queue {
    Unknown,
    /// There may be one: an event said so.
    Filled,
    /// There was none; the next one gives rise to an event.
    Empty,
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    /// The file it is bound to; removed, where it is ours, before the descriptor closes.
    #[expect(dead_code, reason = "held for what dropping it does")]
    file: Option<BoundFile>,
    socket: OwnedFd,
    /// Of the connections.
    kind: Kind,
    queue: Queue,
    budget: Budget,
}

/// A connection just accepted.
#[derive(Debug)]
pub struct Accepted {
    /// Its socket.
    pub socket: OwnedFd,
    /// Who is at the other end.
    pub peer: Address,
    /// What system calls it takes.
    pub kind: Kind,
}

impl Listener {
    fn new(socket: OwnedFd, file: Option<BoundFile>, kind: Kind) -> Listener {
        Listener {
            file,
            socket,
            kind,
            queue: Queue::Unknown,
            budget: Budget::new(),
        }
    }

    /// Listens on an address; a unix one that is no abstract name has a file.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn listen(address: &Address, backlog: i32, settings: Option<&SocketFileSettings>) -> Result<Listener> {
        let directory = settings
            .and_then(|settings| settings.directory.as_ref())
            .map(PathBuf::from);
        let mut bound = BoundFile { file: None, directory };
        let socket = ancillary::stream_socket(address, true)?;
        match (address, settings) {
            (Address::Unix(path), Some(settings)) if path.first().is_some_and(|&byte| byte != 0) => {
                bound.bind(socket.as_fd(), Path::new(OsStr::from_bytes(path)), settings)?;
            }
            _ => {
                if matches!(address, Address::Inet(_)) {
                    ancillary::set_reuse_address(socket.as_fd(), true)?;
                }
                ancillary::bind(socket.as_fd(), address)?;
            }
        }
        ancillary::listen(socket.as_fd(), backlog)?;
        let kind = match address {
            Address::Unix(_) => Kind::Unix,
            Address::Inet(_) => Kind::Socket,
        };
        Ok(Listener::new(socket, Some(bound), kind))
    }

    /// Takes over a listening socket, with its file where `settings` have that unlinked, and changes its backlog where one
    /// is given.
    ///
    /// # Errors
    ///
    /// The system's, with the socket.
    pub fn adopt(
        socket: OwnedFd,
        settings: &SocketFileSettings,
        backlog: Option<i32>,
    ) -> std::result::Result<Listener, (OwnedFd, Error)> {
        match adoptable(socket.as_fd(), settings, backlog) {
            Ok((kind, file)) => Ok(Listener::new(socket, file, kind)),
            Err(error) => Err((socket, error)),
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

    /// Whether this turn had its share.
    pub(crate) fn is_exhausted(&self, turn: u64) -> bool {
        self.budget.exhausted(turn)
    }

    pub(crate) fn accept(&mut self, turn: u64) -> Result<Accepted> {
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
        self.budget.spend(turn, ACCEPT);
        Ok(Accepted {
            socket,
            peer,
            kind: self.kind,
        })
    }
}

/// What a listening socket carries, and the file to be removed with it. The socket is as it was when this fails.
fn adoptable(
    socket: BorrowedFd<'_>,
    settings: &SocketFileSettings,
    backlog: Option<i32>,
) -> Result<(Kind, Option<BoundFile>)> {
    let kind = kind(socket)?;
    let file = ancillary::file_of(socket, settings.mode)?;
    let ready = backlog
        .map_or(Ok(()), |backlog| ancillary::listen(socket, backlog))
        // accept(2) has no per-call flag: a blocking listener that others share would stall the event loop.
        .and_then(|()| ancillary::set_nonblocking(socket, true));
    match file {
        Some(file) if settings.unlink && ready.is_ok() => {
            let bound = BoundFile {
                file: Some(file),
                directory: None,
            };
            return Ok((kind, Some(bound)));
        }
        Some(file) => file.keep(),
        None => {}
    }
    ready?;
    Ok((kind, None))
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A listener's socket file, and the directory made for it; both are removed when this is dropped.
#[derive(Debug)]
struct BoundFile {
    file: Option<SocketFile>,
    directory: Option<PathBuf>,
}

impl BoundFile {
    fn bind(&mut self, socket: BorrowedFd<'_>, path: &Path, settings: &SocketFileSettings) -> Result<()> {
        let file = match ancillary::bind_file(socket, path, settings.mode) {
            Err(error) if error.errno() == Errno::EADDRINUSE && settings.replace_stale => {
                // What it finds shows in the second try.
                let _ = ancillary::remove_stale(path);
                ancillary::bind_file(socket, path, settings.mode)?
            }
            bound => bound?,
        };
        if settings.unlink {
            self.file = Some(file);
        } else {
            file.keep();
        }
        Ok(())
    }
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
