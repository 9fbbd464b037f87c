use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fdwire_system::{Deadline, Error, check, milliseconds, wait_set, with_borrowed};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::epoll::{self, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

const CONTROL: &str = "epoll_ctl";

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
        check("epoll_create1", epoll::Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)).map(Self::with)
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
        with_borrowed(CONTROL, fd, |fd| check(CONTROL, self.epoll.add(fd, event(mask, data))))
    }

    pub(crate) fn modify(&self, fd: RawFd, mask: u32, data: u64) -> Result<(), Error> {
        with_borrowed(CONTROL, fd, |fd| {
            check(CONTROL, self.epoll.modify(fd, &mut event(mask, data)))
        })
    }

    pub(crate) fn delete(&self, fd: RawFd) -> Result<(), Error> {
        with_borrowed(CONTROL, fd, |fd| check(CONTROL, self.epoll.delete(fd)))
    }

    /// (data, mask) of what is ready, at most `max`.
    pub(crate) fn wait(&self, timeout: Option<Duration>, max: usize) -> Result<Vec<(u64, u32)>, Error> {
        let spare = || self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = std::mem::take(&mut *spare());
        let room = max.min(EVENTS);
        if events.len() < room {
            events.resize(room, EpollEvent::empty());
        }
        let count = wait_set("epoll_wait", self.as_fd(), Deadline::after(timeout), |left| {
            self.epoll.wait(
                &mut events[..room],
                EpollTimeout::try_from(milliseconds(left)).or(Err(Errno::EINVAL))?,
            )
        })?;
        let ready = events[..count]
            .iter()
            .map(|event| (event.data(), event.events().bits() as u32))
            .collect();
        *spare() = events;
        Ok(ready)
    }

    /// Puts `fresh` in this one's place, under the same descriptor number.
    pub(crate) fn replace(&mut self, fresh: Self) -> Result<(), Error> {
        check(
            "dup3",
            nix::unistd::dup3(fresh.as_fd(), &mut self.epoll.0, OFlag::O_CLOEXEC),
        )
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
