//! What carries a connection's bytes: a descriptor, JavaScript, or in tests a script.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::slice;
use std::time::Duration;

use fdwire_ancillary::{self as ancillary, ControlBuffer, Errno, Readiness};
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
            // SAFETY: the region is good for the call, which hands the address to the kernel and looks at nothing.
            let buffer = buffers.first().map(|region| unsafe { slice_of(*region) });
            let bytes = ancillary::read(fd, buffer.unwrap_or_default(), false)?;
            return Ok(Arrived {
                bytes,
                fds: Vec::new(),
                truncated: false,
                control: false,
            });
        }
        let mut slices = [(); 3].map(|()| IoSliceMut::new(&mut []));
        for (slice, region) in slices.iter_mut().zip(buffers) {
            // SAFETY: as above.
            *slice = IoSliceMut::new(unsafe { slice_of(*region) });
        }
        let received = ancillary::receive(fd, &mut slices[..buffers.len().min(3)], control, false)?;
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
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        for (slice, bytes) in slices.iter_mut().zip(bytes) {
            // SAFETY: the bytes are good for the call, which hands the address to the kernel and looks at nothing.
            *slice = IoSlice::new(unsafe { slice::from_raw_parts(bytes.as_ptr(), bytes.len()) });
        }
        let slices = &slices[..bytes.len().min(MAX_PIECES)];
        let fd = self.fd()?;
        Ok(if self.kind == Kind::File {
            ancillary::write(fd, slices, false)?
        } else {
            ancillary::send(fd, slices, fds, false)?
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

/// TODO: the system calls take addresses soon.
///
/// # Safety
/// Nothing is read or written through the slice in Rust.
unsafe fn slice_of<'a>(region: Region<'a>) -> &'a mut [u8] {
    // SAFETY: as the caller vouches.
    unsafe { slice::from_raw_parts_mut(region.as_ptr(), region.len()) }
}
