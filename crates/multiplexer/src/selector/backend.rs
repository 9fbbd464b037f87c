use std::fmt::Debug;
use std::os::fd::{AsFd, RawFd};
use std::time::Duration;

use fdwire_system::{Error, check, with_borrowed};
use nix::sys::stat::fstat;

use super::Options;
use super::epoll::EpollBackend;
use super::kqueue::KqueueBackend;

/// Beside the public events: an error or a hang-up, reported whether asked for or not.
pub(super) const HANGUP: u32 = 1 << 31;

#[derive(Debug)]
pub(super) struct Registration {
    pub(super) fd: RawFd,
    pub(super) generation: u32,
    /// `EVENT_*` to report.
    pub(super) interest: u32,
    pub(super) options: Options,
    /// False once a oneshot registration has been reported.
    pub(super) armed: bool,
    /// A file that the system cannot watch, always ready; it is not registered there.
    pub(super) file: Option<File>,
}

/// Which file a descriptor refers to: it may be closed, and its number another file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct File {
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl File {
    pub(super) fn of(fd: RawFd) -> Result<Self, Error> {
        let status = with_borrowed("fstat", fd, |fd| check("fstat", fstat(fd)))?;
        Ok(Self {
            device: status.st_dev,
            inode: status.st_ino,
        })
    }
}

/// `EVENT_*` of one descriptor, and the generation of the registration that they are for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) fd: RawFd,
    pub(super) generation: u32,
    pub(super) events: u32,
}

/// The system's side of a selector. It keeps no table of its own.
pub(super) trait Backend: AsFd + Debug + Send {
    /// `EPERM` for files that cannot be watched.
    fn add(&self, registration: &Registration) -> Result<(), Error>;
    fn modify(&self, old: &Registration, new: &Registration) -> Result<(), Error>;
    /// Of a closed descriptor too, so it has nothing to fail with.
    fn remove(&self, fd: RawFd);
    /// A oneshot registration was reported.
    fn disarm(&self, fd: RawFd);
    /// Each descriptor at most once per generation.
    fn wait(&self, timeout: Option<Duration>, max: usize) -> Result<Vec<Ready>, Error>;
    /// Gets rid of registrations other than these. False if the system did that by itself.
    fn rebuild(&mut self, live: &mut dyn Iterator<Item = &Registration>) -> Result<bool, Error>;
}

/// epoll where there is one, else kqueue.
pub(super) fn open() -> Result<Box<dyn Backend>, Error> {
    match EpollBackend::new() {
        Err(Error::Unsupported(_)) => Ok(Box::new(KqueueBackend::new()?)),
        epoll => Ok(Box::new(epoll?)),
    }
}
