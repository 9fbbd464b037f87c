use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use fdwire_system::Error;
use mio::unix::SourceFd;
use mio::{Events, Poll, Waker};
use nix::errno::Errno;

use crate::platform::{Calls, NATIVE, Native};

/// For errors.
const CALLS: Calls = NATIVE.calls();

/// Events taken from the system per poll; what is left over keeps the reactor's descriptor readable.
const EVENTS: usize = 256;

const WAKER: mio::Token = mio::Token(usize::MAX);

/// Names a source in the reactor's events. `usize::MAX` is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub usize);

/// What to report about a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Input.
    Read,
    /// Room for output. Register it only while a write is blocked: it costs an event per round trip.
    Write,
    /// Both.
    ReadWrite,
}

/// A source has become ready. Spurious ones are possible; the next call on the descriptor decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The source.
    pub token: Token,
    /// There is input, or the other side is gone, or an error is to be had.
    pub readable: bool,
    /// The other side sends no more, or there is an error: a short read may have left the end unread.
    pub read_closed: bool,
    /// There is room for output, or the other side is gone, or an error is to be had.
    pub writable: bool,
}

/// One edge-triggered `epoll` or `kqueue` for everything an environment waits on.
///
/// It never blocks: whoever owns the thread watches the reactor's own descriptor (level-triggered) and calls
/// [`poll`](Self::poll) when that is readable.
pub struct Reactor {
    poll: Poll,
    waker: Waker,
    events: Events,
    resumed: BTreeSet<Token>,
}

impl Reactor {
    /// A reactor with no sources.
    pub fn new() -> Result<Self, Error> {
        let poll = Poll::new().map_err(|error| Error::io(CALLS.create, &error))?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(|error| Error::io(CALLS.waker, &error))?;
        Ok(Self {
            poll,
            waker,
            events: Events::with_capacity(EVENTS),
            resumed: BTreeSet::new(),
        })
    }

    /// Watches `fd`. An edge that has already happened is reported too. `EEXIST` if it is watched, `EPERM` if it is a
    /// regular file; the caller deregisters before closing.
    pub fn register(&self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> Result<(), Error> {
        let (token, interest) = arguments(token, interest)?;
        self.poll
            .registry()
            .register(&mut SourceFd(&fd.as_raw_fd()), token, interest)
            .map_err(|error| Error::io(CALLS.control, &error))
    }

    /// Changes what is watched, and arms again: a source that is ready now is reported in the next poll.
    pub fn reregister(&self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> Result<(), Error> {
        let (token, interest) = arguments(token, interest)?;
        self.poll
            .registry()
            .reregister(&mut SourceFd(&fd.as_raw_fd()), token, interest)
            .map_err(|error| Error::io(CALLS.control, &error))
    }

    /// Registers or reregisters, whichever applies: what to do before each wait for a source that is itself a set of
    /// descriptors, such as a [`Selector`](crate::Selector). Readiness left over in it is reported again.
    pub fn arm(&self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> Result<(), Error> {
        match self.reregister(fd, token, interest) {
            Err(error) if error.errno() == Errno::ENOENT => self.register(fd, token, interest),
            result => result,
        }
    }

    /// Forgets `fd`. A resume already asked for is still delivered.
    pub fn deregister(&self, fd: BorrowedFd<'_>) -> Result<(), Error> {
        self.poll
            .registry()
            .deregister(&mut SourceFd(&fd.as_raw_fd()))
            .map_err(|error| Error::io(CALLS.control, &error))
    }

    /// Reports `token` as readable and writable in the next poll, once, whatever the system says: for a source that
    /// stopped before it was drained, and so will see no further edge.
    pub fn resume(&mut self, token: Token) {
        if self.resumed.is_empty() {
            // Fails only if the reactor's own descriptors are gone; poll() reports that.
            let _ = self.waker.wake();
        }
        self.resumed.insert(token);
    }

    /// Whether a resume is still to be reported.
    pub fn has_resumed(&self) -> bool {
        !self.resumed.is_empty()
    }

    /// Appends what has become ready. Never blocks. While more is left, the descriptor stays readable.
    pub fn poll(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        while let Err(error) = self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            if error.kind() != ErrorKind::Interrupted {
                return Err(Error::io(CALLS.wait, &error));
            }
        }
        let mut resumed = std::mem::take(&mut self.resumed);
        for event in self.events.iter().filter(|event| event.token() != WAKER) {
            let token = Token(event.token().0);
            let read_closed = event.is_read_closed() || event.is_error();
            let write_closed = event.is_write_closed() || event.is_error();
            let resumed = resumed.remove(&token);
            events.push(Event {
                token,
                readable: event.is_readable() || read_closed || resumed,
                read_closed,
                writable: event.is_writable() || write_closed || resumed,
            });
        }
        events.extend(resumed.into_iter().map(|token| Event {
            token,
            readable: true,
            read_closed: false,
            writable: true,
        }));
        Ok(())
    }
}

/// Whether the reactor's descriptor is no longer readable once what it would report is not true any more (epoll). Then a
/// source may be served without asking; elsewhere only [`poll`](Reactor::poll) takes an event back.
pub const REVOCABLE: bool = matches!(NATIVE, Native::Epoll);

impl AsFd for Reactor {
    /// Readable while [`poll`](Self::poll) has something to report.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("fd", &self.as_fd().as_raw_fd())
            .field("resumed", &self.resumed)
            .finish()
    }
}

fn arguments(token: Token, interest: Interest) -> Result<(mio::Token, mio::Interest), Error> {
    let token = mio::Token(token.0);
    if token == WAKER {
        return Err(Error::system(CALLS.control, Errno::EINVAL));
    }
    let interest = match interest {
        Interest::Read => mio::Interest::READABLE,
        Interest::Write => mio::Interest::WRITABLE,
        Interest::ReadWrite => mio::Interest::READABLE | mio::Interest::WRITABLE,
    };
    Ok((token, interest))
}
