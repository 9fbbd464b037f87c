//! What carries a connection's bytes: a descriptor, JavaScript, or in tests a script.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fdwire_ancillary::{self as ancillary, ControlBuffer, Errno, Readiness, Source, Target};
use fdwire_multiplexer::{Interest as Direction, Reactor, Token};

use crate::interest::{self, Watched};
use crate::memory::{Bytes, Region};
use crate::outcome::{Error, Result};
use crate::settings::MAX_PIECES;

/// What system calls a connection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `sendmsg` and `recvmsg`, with descriptors.
    Unix,
    /// `sendmsg` and `recvmsg`, bytes only.
    Socket,
    /// `read` and `write`: pipes, terminals. A read fills one buffer.
    File,
    /// None: JavaScript carries the bytes.
    Carried,
}

/// What one read brought.
#[derive(Debug)]
pub struct Arrived<F> {
    /// How many bytes; 0 is the end of the stream.
    pub bytes: usize,
    /// The descriptors that came with them, all of them or none.
    pub fds: Vec<F>,
    /// Descriptors were lost.
    pub truncated: bool,
    /// Control data of any kind came, so a short read does not mean that there is no more.
    pub control: bool,
}

/// Reads and writes without blocking; the one call that waits is [`wait`](Self::wait).
pub trait Transport: Watched {
    /// A descriptor that is ours.
    type Fd;
    /// One that is somebody's, for the length of a call.
    type Borrowed<'a>: Copy;

    /// What it is.
    fn kind(&self) -> Kind;

    /// Reads into the buffers, in their order; `EAGAIN` where there is nothing.
    fn receive(&mut self, buffers: &[Region<'_>], control: &mut ControlBuffer) -> Result<Arrived<Self::Fd>>;

    /// Writes what is taken of the bytes, and all of the descriptors with the first; `EAGAIN` where nothing is.
    fn send(&mut self, bytes: &[Bytes<'_>], fds: &[Self::Borrowed<'_>]) -> Result<usize>;

    /// Blocks until it is ready in one of the directions: false when the time is over.
    fn wait(&mut self, directions: Readiness, timeout: Option<Duration>) -> Result<bool>;

    /// Lends a descriptor.
    fn borrow(fd: &Self::Fd) -> Self::Borrowed<'_>;

    /// A copy that is ours.
    fn duplicate(fd: Self::Borrowed<'_>) -> Result<Self::Fd>;
}

/// A descriptor, or none where JavaScript carries the bytes.
#[derive(Debug)]
pub struct Wire {
    fd: Option<OwnedFd>,
    kind: Kind,
}

impl Wire {
    /// Over a descriptor.
    pub fn new(fd: OwnedFd, kind: Kind) -> Wire {
        Wire { fd: Some(fd), kind }
    }

    /// JavaScript carries the bytes.
    pub fn carried() -> Wire {
        Wire {
            fd: None,
            kind: Kind::Carried,
        }
    }

    /// The descriptor; EBADF where there is none.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        let fd = self.fd.as_ref().map(AsFd::as_fd);
        fd.ok_or(Error::system("fcntl", Errno::EBADF))
    }

    /// Gives the descriptor up.
    pub fn into_fd(self) -> Option<OwnedFd> {
        self.fd
    }
}

/// What system calls a descriptor takes.
pub fn kind(fd: BorrowedFd<'_>) -> Result<Kind> {
    match ancillary::socket_family(fd) {
        Ok(libc::AF_UNIX) => Ok(Kind::Unix),
        Ok(_) => Ok(Kind::Socket),
        Err(error) if error.errno() == Errno::ENOTSOCK => Ok(Kind::File),
        Err(error) => Err(error.into()),
    }
}

impl Watched for Wire {
    fn rearms_writes(&self) -> bool {
        self.kind == Kind::File
    }

    fn register(&self, reactor: Option<&Reactor>, token: Token, direction: Direction, again: bool) -> Result<()> {
        interest::register(self.fd.as_ref().map(AsFd::as_fd), reactor, token, direction, again)
    }

    fn deregister(&self, reactor: Option<&Reactor>) {
        interest::deregister(self.fd.as_ref().map(AsFd::as_fd), reactor);
    }
}

impl Transport for Wire {
    type Fd = OwnedFd;
    type Borrowed<'a> = BorrowedFd<'a>;

    fn kind(&self) -> Kind {
        self.kind
    }

    fn receive(&mut self, buffers: &[Region<'_>], control: &mut ControlBuffer) -> Result<Arrived<OwnedFd>> {
        let fd = self.fd()?;
        if self.kind == Kind::File {
            let mut target = buffers.first().map_or(Target::new(&mut []), target_of);
            let bytes = ancillary::read(fd, &mut target, false)?;
            return Ok(Arrived {
                bytes,
                fds: Vec::new(),
                truncated: false,
                control: false,
            });
        }
        let mut targets = [(); 3].map(|()| Target::new(&mut []));
        for (target, region) in targets.iter_mut().zip(buffers) {
            *target = target_of(region);
        }
        let received = ancillary::receive(fd, &mut targets[..buffers.len().min(3)], control, false)?;
        Ok(Arrived {
            bytes: received.bytes,
            fds: received.fds,
            truncated: received.truncated,
            control: received.control,
        })
    }

    fn send(&mut self, bytes: &[Bytes<'_>], fds: &[BorrowedFd<'_>]) -> Result<usize> {
        if self.kind == Kind::Carried {
            // JavaScript comes for it.
            return Err(Error::system("write", Errno::EAGAIN));
        }
        let mut sources = [Source::new(&[]); MAX_PIECES];
        for (source, bytes) in sources.iter_mut().zip(bytes) {
            *source = source_of(bytes);
        }
        let sources = &sources[..bytes.len().min(MAX_PIECES)];
        let fd = self.fd()?;
        Ok(if self.kind == Kind::File {
            ancillary::write(fd, sources, false)?
        } else {
            ancillary::send(fd, sources, fds, false)?
        })
    }

    fn wait(&mut self, directions: Readiness, timeout: Option<Duration>) -> Result<bool> {
        let ready = ancillary::poll(self.fd()?, directions, timeout)?;
        Ok(ready.readable || ready.writable)
    }

    fn borrow(fd: &OwnedFd) -> BorrowedFd<'_> {
        fd.as_fd()
    }

    fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
        Ok(ancillary::duplicate(fd)?)
    }
}

fn target_of<'a>(region: &Region<'a>) -> Target<'a> {
    // SAFETY: a region's promises are those of a target.
    unsafe { Target::from_raw(region.as_ptr(), region.len()) }
}

fn source_of<'a>(bytes: &Bytes<'a>) -> Source<'a> {
    // SAFETY: ours, or of a region, whose promises are more than a source's.
    unsafe { Source::from_raw(bytes.as_ptr(), bytes.len()) }
}
