use std::os::fd::RawFd;

use fdwire_system::{Error, check, with_borrowed};
use nix::errno::Errno;
use nix::sys::stat::fstat;

use super::options::{EVENT_PRIORITY, EVENT_RDHUP, EVENT_READ, EVENT_WRITE, Options};

/// Beside the public events: an error or a hang-up, reported whether asked for or not.
pub(super) const HANGUP: u32 = 1 << 31;

/// One descriptor, as it is watched.
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

impl Registration {
    pub(super) fn new(fd: RawFd, generation: u32, events: u32, options: Options) -> Result<Self, Error> {
        let mut interest = events;
        if options.priority {
            interest |= EVENT_PRIORITY;
        }
        if options.rdhup {
            interest |= EVENT_RDHUP;
        }
        if interest == 0 || events & !(EVENT_READ | EVENT_WRITE) != 0 {
            return Err(failure(Errno::EINVAL));
        }
        Ok(Self {
            fd,
            generation,
            interest,
            options,
            armed: true,
            file: None,
        })
    }

    /// What to report of these events; a oneshot registration is used up by it.
    pub(super) fn take(&mut self, events: u32) -> u32 {
        if !self.armed {
            return 0;
        }
        let mut reported = events & self.interest;
        if reported == 0 && events & HANGUP != 0 {
            // Only urgent data or the end was asked for. It would never be reported, and the wait never sleep again.
            reported = self.interest;
        }
        self.armed = reported == 0 || !self.options.oneshot;
        reported
    }
}

pub(super) fn failure(errno: Errno) -> Error {
    Error::system("select", errno)
}
