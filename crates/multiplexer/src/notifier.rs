use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;

use fdwire_system::Error;
use libc::{POLLIN, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM};
use nix::errno::Errno;

use crate::kevent::KEvent;
use crate::platform::{Epoll, Kqueue, NATIVE, Native, kq};

const READING: i16 = POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND;
const WRITING: i16 = POLLOUT | POLLWRNORM | POLLWRBAND;
const EPOLLET: u32 = 1 << 31;
/// Events taken at a time while clearing.
const EVENTS: usize = 1024;

/// A descriptor that becomes readable when one of a set may have changed: what to wait on where `poll(2)` must not block.
///
/// It is edge-triggered: after [`clear`](Self::clear) only another change makes it readable. So: fill it, ask
/// [`Poll::poll`](crate::Poll::poll), and ask again each time it is readable, clearing it first. What the system cannot
/// notify of (regular files, closed descriptors) does not change either; poll() tells at once.
#[derive(Debug)]
pub struct Notifier(Backend);

#[derive(Debug)]
enum Backend {
    Epoll(Epoll),
    Kqueue(Kqueue),
}

impl Notifier {
    /// With an empty set.
    pub fn new() -> Result<Self, Error> {
        Ok(Self(match NATIVE {
            Native::Epoll => Backend::Epoll(Epoll::new()?),
            Native::Kqueue => Backend::Kqueue(Kqueue::new()?),
        }))
    }

    /// Notifies of `fd` from now on, for a mask of `poll(2)`, and once if it is ready already.
    pub fn set(&self, fd: RawFd, mask: i16) -> Result<(), Error> {
        match &self.0 {
            Backend::Epoll(epoll) => {
                let mask = u32::from(mask as u16) | EPOLLET;
                match epoll.add(fd, mask, fd as u64) {
                    Err(error) if error.errno() == Errno::EEXIST => epoll.modify(fd, mask, fd as u64),
                    Err(error) if matches!(error.errno(), Errno::EPERM | Errno::EBADF) => Ok(()),
                    result => result,
                }
            }
            Backend::Kqueue(kqueue) => {
                self.remove(fd);
                let changes = filters(fd, mask);
                // What cannot be watched says so in its receipt.
                kqueue.kevent(&changes, changes.len(), Some(Duration::ZERO)).map(drop)
            }
        }
    }

    /// Notifies of `fd`, which may be closed, no more.
    pub fn remove(&self, fd: RawFd) {
        match &self.0 {
            Backend::Epoll(epoll) => drop(epoll.delete(fd)),
            Backend::Kqueue(kqueue) => {
                let changes = [kq::EVFILT_READ, kq::EVFILT_WRITE].map(|filter| change(fd, filter, kq::EV_DELETE));
                let _ = kqueue.kevent(&changes, changes.len(), Some(Duration::ZERO));
            }
        }
    }

    /// Makes it unreadable until the next change.
    pub fn clear(&self) -> Result<(), Error> {
        let taken = || match &self.0 {
            Backend::Epoll(epoll) => Ok(epoll.wait(Some(Duration::ZERO), EVENTS)?.len()),
            Backend::Kqueue(kqueue) => Ok(kqueue.kevent(&[], EVENTS, Some(Duration::ZERO))?.len()),
        };
        while taken()? == EVENTS {}
        Ok(())
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Backend::Epoll(epoll) => epoll.as_fd(),
            Backend::Kqueue(kqueue) => kqueue.as_fd(),
        }
    }
}

fn change(fd: RawFd, filter: i16, flags: u16) -> KEvent {
    KEvent {
        ident: fd as usize,
        filter,
        flags: flags | kq::EV_RECEIPT,
        ..KEvent::default()
    }
}

/// A mask of neither input nor output still has hang-ups and errors, which the READ filter reports.
fn filters(fd: RawFd, mask: i16) -> Vec<KEvent> {
    let writing = mask & WRITING != 0;
    let reading = mask & READING != 0 || !writing;
    [(kq::EVFILT_READ, reading), (kq::EVFILT_WRITE, writing)]
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(filter, _)| change(fd, filter, kq::EV_ADD | kq::EV_CLEAR))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_become_filters() {
        let of = |mask| -> Vec<i16> { filters(4, mask).iter().map(|change| change.filter).collect() };
        assert_eq!(of(POLLIN), [kq::EVFILT_READ]);
        assert_eq!(of(POLLPRI), [kq::EVFILT_READ]);
        assert_eq!(of(POLLOUT), [kq::EVFILT_WRITE]);
        assert_eq!(of(POLLIN | POLLOUT), [kq::EVFILT_READ, kq::EVFILT_WRITE]);
        assert_eq!(of(0), [kq::EVFILT_READ]);
        let edge = kq::EV_ADD | kq::EV_CLEAR | kq::EV_RECEIPT;
        assert!(
            filters(4, POLLOUT)
                .iter()
                .all(|change| change.ident == 4 && change.flags == edge)
        );
    }
}
