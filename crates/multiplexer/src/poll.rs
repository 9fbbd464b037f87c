use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::time::Duration;

use fdwire_system::{Deadline, Error, poll_set};
use libc::pollfd;
use nix::errno::Errno;

use crate::platform;

/// The masks of `poll(2)`, by name.
pub const POLL_CONSTANTS: &[(&str, i16)] = platform::POLL_CONSTANTS;

/// Bytes a write takes whole when a pipe is reported writable.
pub const PIPE_BUF: usize = libc::PIPE_BUF;

/// `poll(2)` over a set of descriptors (`select.poll`). The set holds numbers: whether they are open shows when polling.
#[derive(Debug, Default, Clone)]
pub struct Poll(BTreeMap<RawFd, i16>);

impl Poll {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches `fd` for the `mask`, replacing what was registered before. `EBADF` if it is negative.
    pub fn register(&mut self, fd: RawFd, mask: i16) -> Result<(), Error> {
        if fd < 0 {
            // poll(2) would skip it silently.
            return Err(Error::system("poll", Errno::EBADF));
        }
        self.0.insert(fd, mask);
        Ok(())
    }

    /// Replaces the mask. `ENOENT` if `fd` is not registered.
    pub fn modify(&mut self, fd: RawFd, mask: i16) -> Result<(), Error> {
        *self.0.get_mut(&fd).ok_or(NOT_REGISTERED)? = mask;
        Ok(())
    }

    /// Forgets `fd`. `ENOENT` if it is not registered.
    pub fn unregister(&mut self, fd: RawFd) -> Result<(), Error> {
        self.0.remove(&fd).map(drop).ok_or(NOT_REGISTERED)
    }

    /// Waits until something is ready and returns it, by descriptor, or nothing when the time is up. `None` waits for
    /// ever; fractions of a millisecond are rounded up. A descriptor that is not open is `POLLNVAL`.
    pub fn poll(&self, timeout: Option<Duration>) -> Result<Vec<(RawFd, i16)>, Error> {
        let mut fds: Vec<_> = self
            .0
            .iter()
            .map(|(&fd, &events)| pollfd { fd, events, revents: 0 })
            .collect();
        poll_set(&mut fds, Deadline::after(timeout))?;
        Ok(fds
            .iter()
            .filter(|entry| entry.revents != 0)
            .map(|entry| (entry.fd, entry.revents))
            .collect())
    }
}

const NOT_REGISTERED: Error = Error::system("poll", Errno::ENOENT);
