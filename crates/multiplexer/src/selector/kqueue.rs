use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;

use fdwire_system::{Error, check, with_borrowed};
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};

use super::options::{EVENT_RDHUP, EVENT_READ, EVENT_WRITE};
use super::registration::{HANGUP, Ready, Registration};
use crate::kevent::KEvent;
use crate::platform::{self, kq};

/// A descriptor is one or two filters here: `ident` is its number, `udata` the generation.
#[derive(Debug)]
pub(super) struct KqueueBackend(platform::Kqueue);

impl KqueueBackend {
    pub(super) fn new() -> Result<Self, Error> {
        platform::Kqueue::new().map(Self)
    }

    /// Applies the changes, with a receipt for each, and returns the first failure. That the other end of a pipe is gone
    /// (EPIPE) is none: the filter is in place and reports it.
    fn apply(&self, changes: &[KEvent]) -> Result<(), Error> {
        let receipts = self.0.kevent(changes, changes.len(), Some(Duration::ZERO))?;
        match receipts
            .iter()
            .find(|receipt| receipt.data != 0 && receipt.data != i64::from(libc::EPIPE))
        {
            Some(receipt) => Err(failure(Errno::from_raw(receipt.data as i32))),
            None => Ok(()),
        }
    }

    /// Whether the system knows a filter of `fd`; a closed descriptor has taken its filters with it.
    fn is_registered(&self, fd: RawFd) -> Result<bool, Error> {
        let probes = both(fd, kq::EV_ENABLE);
        let receipts = self.0.kevent(&probes, probes.len(), Some(Duration::ZERO))?;
        Ok(receipts.iter().any(|receipt| receipt.data == 0))
    }
    pub(super) fn add(&self, registration: &Registration) -> Result<(), Error> {
        let additions = additions(registration)?;
        check_pollable(registration.fd)?;
        // Adding a filter once more would silently change it.
        if self.is_registered(registration.fd)? {
            return Err(failure(Errno::EEXIST));
        }
        self.apply(&additions).inspect_err(|_| self.remove(registration.fd))
    }

    pub(super) fn modify(&self, old: &Registration, new: &Registration) -> Result<(), Error> {
        let additions = additions(new)?;
        // Re-adding keeps EV_CLEAR as it was, so first delete.
        self.remove(old.fd);
        self.apply(&additions)
    }

    pub(super) fn remove(&self, fd: RawFd) {
        let _ = self.apply(&both(fd, kq::EV_DELETE));
    }

    pub(super) fn wait(&self, timeout: Option<Duration>, max: usize) -> Result<Vec<Ready>, Error> {
        Ok(ready(&self.0.kevent(&[], max.saturating_mul(2), timeout)?))
    }
}

impl AsFd for KqueueBackend {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn failure(errno: Errno) -> Error {
    Error::system("kevent", errno)
}

/// kqueue would watch regular files, for being read to their end; epoll refuses them, and so does this.
fn check_pollable(fd: RawFd) -> Result<(), Error> {
    let mode = with_borrowed("fstat", fd, |fd| check("fstat", fstat(fd)))?.st_mode;
    match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        SFlag::S_IFREG | SFlag::S_IFDIR => Err(failure(Errno::EPERM)),
        _ => Ok(()),
    }
}

/// A change of both filters of `fd`, whether they exist or not.
fn both(fd: RawFd, flags: u16) -> [KEvent; 2] {
    [kq::EVFILT_READ, kq::EVFILT_WRITE].map(|filter| KEvent {
        ident: fd as usize,
        filter,
        flags: flags | kq::EV_RECEIPT,
        ..KEvent::default()
    })
}

fn additions(registration: &Registration) -> Result<Vec<KEvent>, Error> {
    if registration.options.priority {
        return Err(Error::Unsupported("EVENT_PRIORITY"));
    }
    let [mut read, mut write] = both(registration.fd, kq::EV_ADD);
    for change in [&mut read, &mut write] {
        change.udata = registration.generation as isize;
        if registration.options.edge {
            change.flags |= kq::EV_CLEAR;
        }
    }
    if registration.interest & EVENT_READ == 0 {
        // For EVENT_RDHUP alone: input, which nobody asked for, must not keep it ready.
        read.flags |= kq::EV_CLEAR;
    }
    let filters = [(read, EVENT_READ | EVENT_RDHUP), (write, EVENT_WRITE)];
    let wanted = filters
        .into_iter()
        .filter(|(_, events)| registration.interest & events != 0);
    Ok(wanted.map(|(change, _)| change).collect())
}

fn ready(events: &[KEvent]) -> Vec<Ready> {
    let mut sorted = events.to_vec();
    sorted.sort_unstable();
    let mut ready: Vec<Ready> = Vec::new();
    for event in sorted {
        let (fd, generation) = (event.ident as RawFd, event.udata as u32);
        let end = event.flags & kq::EV_EOF != 0;
        let mut events = if event.filter == kq::EVFILT_WRITE {
            EVENT_WRITE
        } else {
            EVENT_READ
        };
        if end && event.filter == kq::EVFILT_READ {
            events |= EVENT_RDHUP;
        }
        // With EV_EOF the filter's flags are the socket's error.
        if event.flags & kq::EV_ERROR != 0 || (end && event.fflags != 0) {
            events |= EVENT_READ | EVENT_WRITE | HANGUP;
        }
        match ready.last_mut() {
            Some(last) if last.fd == fd && last.generation == generation => last.events |= events,
            _ => ready.push(Ready { fd, generation, events }),
        }
    }
    ready
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::super::options::Options;
    use super::*;

    fn registration(interest: u32, options: Options) -> Registration {
        Registration {
            fd: 7,
            generation: u32::MAX,
            interest,
            options,
            armed: true,
            file: None,
        }
    }

    fn changes(interest: u32, options: Options) -> Vec<(i16, u16)> {
        let changes = additions(&registration(interest, options)).unwrap();
        assert!(
            changes
                .iter()
                .all(|change| change.ident == 7 && change.udata as u32 == u32::MAX)
        );
        changes.iter().map(|change| (change.filter, change.flags)).collect()
    }

    #[test]
    fn each_direction_is_a_filter() {
        let add = kq::EV_ADD | kq::EV_RECEIPT;
        let level = Options::default();
        let edge = Options { edge: true, ..level };
        assert_eq!(changes(EVENT_READ, level), [(kq::EVFILT_READ, add)]);
        assert_eq!(changes(EVENT_READ | EVENT_RDHUP, level), [(kq::EVFILT_READ, add)]);
        assert_eq!(changes(EVENT_RDHUP, level), [(kq::EVFILT_READ, add | kq::EV_CLEAR)]);
        assert_eq!(changes(EVENT_WRITE, edge), [(kq::EVFILT_WRITE, add | kq::EV_CLEAR)]);
        assert_eq!(
            changes(EVENT_READ | EVENT_WRITE, level),
            [(kq::EVFILT_READ, add), (kq::EVFILT_WRITE, add)]
        );
    }

    #[test]
    fn urgent_data_is_not_to_be_had() {
        let options = Options {
            priority: true,
            ..Options::default()
        };
        let error = additions(&registration(EVENT_READ, options)).unwrap_err();
        assert_eq!(error, Error::Unsupported("EVENT_PRIORITY"));
    }

    #[test]
    fn filters_of_one_descriptor_are_one_result() {
        let event = |ident, filter, flags, fflags| KEvent {
            ident,
            filter,
            flags,
            fflags,
            data: 0,
            udata: 3,
        };
        let events = [
            event(9, kq::EVFILT_READ, 0, 0),
            event(5, kq::EVFILT_WRITE, 0, 0),
            event(4, kq::EVFILT_READ, kq::EV_EOF, 0),
            event(5, kq::EVFILT_READ, 0, 0),
            event(6, kq::EVFILT_READ, kq::EV_EOF, 104),
        ];
        let failed = EVENT_READ | EVENT_WRITE | EVENT_RDHUP | HANGUP;
        let expected = [
            (4, EVENT_READ | EVENT_RDHUP),
            (5, EVENT_READ | EVENT_WRITE),
            (6, failed),
            (9, EVENT_READ),
        ];
        assert_eq!(
            ready(&events),
            expected.map(|(fd, events)| Ready {
                fd,
                generation: 3,
                events
            })
        );
    }

    #[test]
    fn files_that_never_block_are_refused() {
        let directory = File::open("/").unwrap();
        assert_eq!(check_pollable(directory.as_raw_fd()).unwrap_err().errno(), Errno::EPERM);
        let (reader, _writer) = nix::unistd::pipe().unwrap();
        assert_eq!(check_pollable(reader.as_raw_fd()), Ok(()));
        assert_eq!(check_pollable(-1).unwrap_err().errno(), Errno::EBADF);
    }
}
