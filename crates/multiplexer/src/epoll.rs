use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use fdwire_system::Error;

use crate::platform;

/// Python's names for the masks. The kernel's numbers, the same on all architectures.
pub const EPOLL_CONSTANTS: &[(&str, u32)] = &[
    ("EPOLLIN", 0x1),
    ("EPOLLPRI", 0x2),
    ("EPOLLOUT", 0x4),
    ("EPOLLERR", 0x8),
    ("EPOLLHUP", 0x10),
    ("EPOLLRDNORM", 0x40),
    ("EPOLLRDBAND", 0x80),
    ("EPOLLWRNORM", 0x100),
    ("EPOLLWRBAND", 0x200),
    ("EPOLLMSG", 0x400),
    ("EPOLLRDHUP", 0x2000),
    ("EPOLLEXCLUSIVE", 1 << 28),
    ("EPOLLWAKEUP", 1 << 29),
    ("EPOLLONESHOT", 1 << 30),
    ("EPOLLET", 1 << 31),
];

/// `epoll(7)` with exact masks (`select.epoll`); nothing is added to them or filtered from what comes back.
#[derive(Debug)]
pub struct Epoll(platform::Epoll);

impl Epoll {
    /// A new, close-on-exec instance. [`Error::Unsupported`] where the system has none.
    pub fn new() -> Result<Self, Error> {
        platform::Epoll::new().map(Self)
    }

    /// Takes over an existing instance. That it is one is noticed on use only.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        platform::Epoll::from_fd(fd).map(Self)
    }

    /// Watches `fd`. `EEXIST` if it is watched, `EPERM` if it cannot be polled (a regular file), `EBADF` if it is not open.
    pub fn register(&self, fd: RawFd, mask: u32) -> Result<(), Error> {
        self.0.add(fd, mask, fd as u64)
    }

    /// Replaces the mask. `ENOENT` if it is not watched, `EINVAL` where `EPOLLEXCLUSIVE` is or was in the mask.
    pub fn modify(&self, fd: RawFd, mask: u32) -> Result<(), Error> {
        self.0.modify(fd, mask, fd as u64)
    }

    /// Forgets `fd`. `ENOENT` if it is not watched, `EBADF` if it is not open.
    pub fn unregister(&self, fd: RawFd) -> Result<(), Error> {
        self.0.delete(fd)
    }

    /// Waits for at least one event and returns up to `max_events` (`EINVAL` if that is 0), or none when the time is up.
    /// `None` waits for ever; fractions of a millisecond are rounded up.
    pub fn poll(&self, timeout: Option<Duration>, max_events: usize) -> Result<Vec<(RawFd, u32)>, Error> {
        let events = self.0.wait(timeout, max_events)?;
        Ok(events.into_iter().map(|(data, mask)| (data as RawFd, mask)).collect())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
