use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::epoll::{self, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::Error;
use crate::deadline::{Deadline, milliseconds};
use crate::platform::borrow;

/// Events taken per wait; more come with the next one.
const EVENTS: usize = 1 << 16;

/// `epoll(7)` with the caller's masks and data.
#[derive(Debug)]
pub(crate) struct Epoll {
    epoll: epoll::Epoll,
    /// Kept from wait to wait: making room for as many events as descriptors would cost more than few events do.
    events: Mutex<Vec<EpollEvent>>,
}

impl Epoll {
    pub(crate) fn new() -> Result<Self, Error> {
        epoll::Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map(Self::with)
            .map_err(Error::system("epoll_create1"))
    }

    pub(crate) fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        Ok(Self::with(epoll::Epoll(fd)))
    }

    fn with(epoll: epoll::Epoll) -> Self {
        Self {
            epoll,
            events: Mutex::default(),
        }
    }

    pub(crate) fn add(&self, fd: RawFd, mask: u32, data: u64) -> Result<(), Error> {
        borrow(fd)
            .and_then(|fd| self.epoll.add(fd, event(mask, data)))
            .map_err(Error::system("epoll_ctl"))
    }

    pub(crate) fn modify(&self, fd: RawFd, mask: u32, data: u64) -> Result<(), Error> {
        borrow(fd)
            .and_then(|fd| self.epoll.modify(fd, &mut event(mask, data)))
            .map_err(Error::system("epoll_ctl"))
    }

    pub(crate) fn delete(&self, fd: RawFd) -> Result<(), Error> {
        borrow(fd)
            .and_then(|fd| self.epoll.delete(fd))
            .map_err(Error::system("epoll_ctl"))
    }

    /// (data, mask) of what is ready, at most `max`.
    pub(crate) fn wait(&self, timeout: Option<Duration>, max: usize) -> Result<Vec<(u64, u32)>, Error> {
        let spare = || self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = std::mem::take(&mut *spare());
        let room = max.min(EVENTS);
        if events.len() < room {
            events.resize(room, EpollEvent::empty());
        }
        let count = Deadline::after(timeout)
            .retry(|left| {
                self.epoll.wait(
                    &mut events[..room],
                    EpollTimeout::try_from(milliseconds(left)).or(Err(Errno::EINVAL))?,
                )
            })
            .map_err(Error::system("epoll_wait"))?;
        let ready = events[..count]
            .iter()
            .map(|event| (event.data(), event.events().bits() as u32))
            .collect();
        *spare() = events;
        Ok(ready)
    }

    /// Puts `fresh` in this one's place, under the same descriptor number.
    pub(crate) fn replace(&mut self, fresh: Self) -> Result<(), Error> {
        nix::unistd::dup3(fresh.as_fd(), &mut self.epoll.0, OFlag::O_CLOEXEC).map_err(Error::system("dup3"))
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

fn event(mask: u32, data: u64) -> EpollEvent {
    EpollEvent::new(EpollFlags::from_bits_retain(mask as i32), data)
}
