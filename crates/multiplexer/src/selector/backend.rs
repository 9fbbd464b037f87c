use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;

use fdwire_system::Error;

use super::epoll::EpollBackend;
use super::kqueue::KqueueBackend;
use super::registration::{Ready, Registration};
use crate::platform::{NATIVE, Native};

/// The system's side of a selector. It keeps no table of its own.
#[derive(Debug)]
pub(super) enum Backend {
    Epoll(EpollBackend),
    Kqueue(KqueueBackend),
}

impl Backend {
    pub(super) fn open() -> Result<Self, Error> {
        Ok(match NATIVE {
            Native::Epoll => Backend::Epoll(EpollBackend::new()?),
            Native::Kqueue => Backend::Kqueue(KqueueBackend::new()?),
        })
    }

    /// `EPERM` for files that cannot be watched.
    pub(super) fn add(&self, registration: &Registration) -> Result<(), Error> {
        match self {
            Backend::Epoll(epoll) => epoll.add(registration),
            Backend::Kqueue(kqueue) => kqueue.add(registration),
        }
    }

    pub(super) fn modify(&self, old: &Registration, new: &Registration) -> Result<(), Error> {
        match self {
            Backend::Epoll(epoll) => epoll.modify(old, new),
            Backend::Kqueue(kqueue) => kqueue.modify(old, new),
        }
    }

    /// Of a closed descriptor too, so it has nothing to fail with.
    pub(super) fn remove(&self, fd: RawFd) {
        match self {
            Backend::Epoll(epoll) => epoll.remove(fd),
            Backend::Kqueue(kqueue) => kqueue.remove(fd),
        }
    }

    /// A oneshot registration was reported.
    pub(super) fn disarm(&self, fd: RawFd) {
        match self {
            // The kernel has done it.
            Backend::Epoll(_) => {}
            // EV_ONESHOT would disarm one of the two filters only.
            Backend::Kqueue(kqueue) => kqueue.remove(fd),
        }
    }

    /// Each descriptor at most once per generation.
    pub(super) fn wait(&self, timeout: Option<Duration>, max: usize) -> Result<Vec<Ready>, Error> {
        match self {
            Backend::Epoll(epoll) => epoll.wait(timeout, max),
            Backend::Kqueue(kqueue) => kqueue.wait(timeout, max),
        }
    }

    /// Gets rid of registrations other than these. False if the system did that by itself.
    pub(super) fn rebuild<'a>(&mut self, live: impl Iterator<Item = &'a Registration>) -> Result<bool, Error> {
        match self {
            Backend::Epoll(epoll) => epoll.rebuild(live).map(|()| true),
            Backend::Kqueue(_) => Ok(false),
        }
    }
}

impl AsFd for Backend {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Backend::Epoll(epoll) => epoll.as_fd(),
            Backend::Kqueue(kqueue) => kqueue.as_fd(),
        }
    }
}
