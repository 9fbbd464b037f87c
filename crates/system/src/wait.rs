use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{POLLIN, pollfd};
use nix::errno::Errno;

use crate::deadline::Deadline;
use crate::error::{Error, Result, check};
use crate::interrupt;
use crate::poll::{in_slices, poll_set, until};

/// Waits in a `syscall` of its own: `wait` is called with the time that is left until it has something (more than 0), fails,
/// or the time is up. `set` is the descriptor that becomes readable when it has, as an epoll's or a kqueue's does.
///
/// `ECANCELED` where the thread's [`interrupt`] ends the wait.
pub fn wait_set(
    syscall: &'static str,
    set: BorrowedFd<'_>,
    deadline: Deadline,
    mut wait: impl FnMut(Option<Duration>) -> nix::Result<usize>,
) -> Result<usize> {
    let interrupt = match deadline {
        Deadline::Now => None,
        _ => interrupt::installed(),
    };
    let Some(interrupt) = interrupt else {
        return until(deadline, syscall, wait);
    };
    if interrupt.wake_up().is_none() {
        return in_slices(deadline, &*interrupt, syscall, wait);
    }
    loop {
        match wait(Some(Duration::ZERO)) {
            Ok(0) | Err(Errno::EINTR) => {}
            result => return check(syscall, result),
        }
        if deadline.passed() {
            return Ok(0);
        }
        // This one heeds the interrupt.
        let mut ready = [pollfd {
            fd: set.as_raw_fd(),
            events: POLLIN,
            revents: 0,
        }];
        poll_set(&mut ready, deadline).map_err(|error| Error::system(syscall, error.errno()))?;
    }
}
