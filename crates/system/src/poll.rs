use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, nfds_t, pollfd};
use nix::errno::Errno;

use crate::deadline::{Deadline, milliseconds};
use crate::error::{Error, Result, check};
use crate::interrupt::{self, Interrupt, SLICE, UNWOKEN};

/// Directions of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness {
    /// A read would not wait: there is data, the end, or an error.
    pub readable: bool,
    /// A write would not wait: there is room, or an error.
    pub writable: bool,
}

impl Readiness {
    /// Reading only.
    pub const READABLE: Readiness = Readiness {
        readable: true,
        writable: false,
    };
    /// Writing only.
    pub const WRITABLE: Readiness = Readiness {
        readable: false,
        writable: true,
    };

    fn mask(self) -> i16 {
        let mut mask = 0;
        if self.readable {
            mask |= POLLIN;
        }
        if self.writable {
            mask |= POLLOUT;
        }
        mask
    }
}

/// Waits until `fd` is ready in a direction of `interest`; neither is ready when the time is over.
///
/// `None` waits for ever. It never returns early, signals or not. A descriptor that is not open is `EBADF`.
pub fn poll(fd: BorrowedFd<'_>, interest: Readiness, timeout: Option<Duration>) -> Result<Readiness> {
    let mut set = [pollfd {
        fd: fd.as_raw_fd(),
        events: interest.mask(),
        revents: 0,
    }];
    poll_set(&mut set, Deadline::after(timeout))?;
    let events = set[0].revents;
    if events & POLLNVAL != 0 {
        return Err(Error::system("poll", Errno::EBADF));
    }
    let over = events & (POLLHUP | POLLERR) != 0;
    Ok(Readiness {
        readable: interest.readable && (over || events & POLLIN != 0),
        writable: interest.writable && (over || events & POLLOUT != 0),
    })
}

/// `poll(2)`: waits until one of the set is ready, or the time is up, and returns how many are. Whether the numbers are open
/// descriptors shows in the answer (`POLLNVAL`).
///
/// `ECANCELED` where the thread's [`interrupt`] ends the wait.
pub fn poll_set(set: &mut [pollfd], deadline: Deadline) -> Result<usize> {
    let interrupt = match deadline {
        Deadline::Now => None,
        _ => interrupt::installed(),
    };
    match interrupt {
        None => until(deadline, "poll", |left| once(set, left)),
        Some(interrupt) => poll_heeding(set, deadline, &*interrupt),
    }
}

fn poll_heeding(set: &mut [pollfd], deadline: Deadline, interrupt: &dyn Interrupt) -> Result<usize> {
    let Some(wake_up) = interrupt.wake_up() else {
        return in_slices(deadline, interrupt, "poll", |left| once(set, left));
    };
    let mut all = Vec::with_capacity(set.len() + 1);
    all.extend_from_slice(set);
    all.push(pollfd {
        fd: wake_up.as_raw_fd(),
        events: POLLIN,
        revents: 0,
    });
    loop {
        let slice = deadline.remaining().map_or(UNWOKEN, |left| left.min(UNWOKEN));
        let result = once(&mut all, Some(slice));
        let woken = all[set.len()].revents != 0;
        if woken {
            interrupt.clear();
        }
        // A signal may be how somebody says so.
        let ask = woken || result == Err(Errno::EINTR) || (result == Ok(0) && !deadline.passed());
        if ask && interrupt.must_end() {
            return Err(Error::system("poll", Errno::ECANCELED));
        }
        let count = match result {
            Err(Errno::EINTR) => 0,
            result => check("poll", result)? - usize::from(woken),
        };
        if count > 0 || (!woken && deadline.passed()) {
            set.copy_from_slice(&all[..set.len()]);
            return Ok(count);
        }
    }
}

/// Waits in parts, between which it asks whether the thread must end.
pub(crate) fn in_slices(
    deadline: Deadline,
    interrupt: &dyn Interrupt,
    syscall: &'static str,
    mut wait: impl FnMut(Option<Duration>) -> nix::Result<usize>,
) -> Result<usize> {
    loop {
        let slice = deadline.remaining().map_or(SLICE, |left| left.min(SLICE));
        match wait(Some(slice)) {
            Ok(0) | Err(Errno::EINTR) if interrupt.must_end() => {
                return Err(Error::system(syscall, Errno::ECANCELED));
            }
            Err(Errno::EINTR) => {}
            Ok(0) if !deadline.passed() => {}
            result => return check(syscall, result),
        }
    }
}

/// Calls `wait` with the time that is left until it has something, fails, or the time is up.
pub(crate) fn until(
    deadline: Deadline,
    syscall: &'static str,
    mut wait: impl FnMut(Option<Duration>) -> nix::Result<usize>,
) -> Result<usize> {
    loop {
        match wait(deadline.remaining()) {
            Ok(0) if !deadline.passed() => {}
            Err(Errno::EINTR) => {}
            result => return check(syscall, result),
        }
    }
}

/// One call.
fn once(set: &mut [pollfd], timeout: Option<Duration>) -> nix::Result<usize> {
    // SAFETY: the slice lives through the call, and its length is its own.
    let count = unsafe { libc::poll(set.as_mut_ptr(), set.len() as nfds_t, milliseconds(timeout)) };
    Errno::result(count).map(|count| count as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interruptions_and_early_returns_are_retried() {
        let mut results = [Err(Errno::EINTR), Ok(0), Err(Errno::EINTR), Ok(2)].into_iter();
        let result = until(Deadline::Never, "poll", |_| results.next().expect("no more calls"));
        assert_eq!(result, Ok(2));
        let failed = until(Deadline::Never, "select", |_| Err(Errno::EBADF));
        assert_eq!(failed, Err(Error::system("select", Errno::EBADF)));
    }

    #[test]
    fn a_wait_that_is_over_is_tried_once() {
        let mut calls = 0;
        let result = until(Deadline::after(Some(Duration::ZERO)), "poll", |left| {
            calls += 1;
            assert_eq!(left, Some(Duration::ZERO));
            Ok(0)
        });
        assert_eq!((result, calls), (Ok(0), 1));
    }
}
