use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;

use fdwire_system::Error;
use nix::errno::Errno;

use super::options::{EVENT_PRIORITY, EVENT_RDHUP, EVENT_READ, EVENT_WRITE};
use super::registration::{HANGUP, Ready, Registration};
use crate::platform;

const EPOLLIN: u32 = 0x1;
const EPOLLPRI: u32 = 0x2;
const EPOLLOUT: u32 = 0x4;
const EPOLLERR: u32 = 0x8;
const EPOLLHUP: u32 = 0x10;
const EPOLLRDHUP: u32 = 0x2000;
const EPOLLEXCLUSIVE: u32 = 1 << 28;
const EPOLLONESHOT: u32 = 1 << 30;
const EPOLLET: u32 = 1 << 31;

#[derive(Debug)]
pub(super) struct EpollBackend(platform::Epoll);

impl EpollBackend {
    pub(super) fn new() -> Result<Self, Error> {
        platform::Epoll::new().map(Self)
    }
    pub(super) fn add(&self, registration: &Registration) -> Result<(), Error> {
        self.0.add(registration.fd, mask(registration), data(registration))
    }

    pub(super) fn modify(&self, old: &Registration, new: &Registration) -> Result<(), Error> {
        if old.options.exclusive || new.options.exclusive {
            // The kernel does not change such a registration.
            self.0.delete(old.fd)?;
            return self.add(new);
        }
        self.0.modify(new.fd, mask(new), data(new))
    }

    pub(super) fn remove(&self, fd: RawFd) {
        let _ = self.0.delete(fd);
    }

    pub(super) fn wait(&self, timeout: Option<Duration>, max: usize) -> Result<Vec<Ready>, Error> {
        Ok(self.0.wait(timeout, max)?.into_iter().map(ready).collect())
    }

    /// epoll watches files, not descriptors, and removes by descriptor. What was registered with one that is closed stays
    /// until its last duplicate is closed, and only a new epoll is free of it. Oneshot registrations that were used up
    /// come back armed; the selector ignores what they report, once.
    pub(super) fn rebuild<'a>(&mut self, live: impl Iterator<Item = &'a Registration>) -> Result<(), Error> {
        let fresh = Self::new()?;
        for registration in live.filter(|registration| registration.file.is_none()) {
            match fresh.add(registration) {
                // Closed, or closed and now a file that cannot be watched; its owner has yet to unregister it.
                Err(error) if matches!(error.errno(), Errno::EBADF | Errno::EPERM) => {}
                result => result?,
            }
        }
        self.0.replace(fresh.0)
    }
}

impl AsFd for EpollBackend {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn data(registration: &Registration) -> u64 {
    u64::from(registration.generation) << 32 | registration.fd as u64
}

fn mask(registration: &Registration) -> u32 {
    let events = [
        (EVENT_READ, EPOLLIN),
        (EVENT_WRITE, EPOLLOUT),
        (EVENT_PRIORITY, EPOLLPRI),
        (EVENT_RDHUP, EPOLLRDHUP),
    ];
    let options = registration.options;
    let flags = [
        (options.edge, EPOLLET),
        (options.oneshot, EPOLLONESHOT),
        (options.exclusive, EPOLLEXCLUSIVE),
    ];
    let events = events
        .into_iter()
        .map(|(event, bit)| (registration.interest & event != 0, bit));
    events
        .chain(flags)
        .filter(|(wanted, _)| *wanted)
        .fold(0, |mask, (_, bit)| mask | bit)
}

fn ready((data, mask): (u64, u32)) -> Ready {
    let bits = [
        (EPOLLIN, EVENT_READ),
        (EPOLLOUT, EVENT_WRITE),
        (EPOLLPRI, EVENT_PRIORITY),
        (EPOLLRDHUP, EVENT_RDHUP),
        (EPOLLERR | EPOLLHUP, EVENT_READ | EVENT_WRITE | HANGUP),
    ];
    let events = bits
        .into_iter()
        .filter(|(bit, _)| mask & bit != 0)
        .fold(0, |events, (_, event)| events | event);
    Ready {
        fd: data as RawFd,
        generation: (data >> 32) as u32,
        events,
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Options;
    use super::*;

    #[test]
    fn data_carries_generation_and_descriptor() {
        let options = Options {
            rdhup: true,
            ..Options::default()
        };
        let registration = Registration {
            fd: i32::MAX,
            generation: u32::MAX,
            interest: EVENT_RDHUP,
            options,
            armed: true,
            file: None,
        };
        let back = ready((data(&registration), mask(&registration)));
        assert_eq!(
            back,
            Ready {
                fd: i32::MAX,
                generation: u32::MAX,
                events: EVENT_RDHUP
            }
        );
    }

    #[test]
    fn errors_and_hangups_are_both_read_and_write() {
        for bit in [EPOLLERR, EPOLLHUP] {
            assert_eq!(ready((5, bit)).events, EVENT_READ | EVENT_WRITE | HANGUP);
        }
    }
}
