use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::time::Duration;

use fdwire_system::{Deadline, Error};
use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI};
use nix::errno::Errno;

use crate::poll::Poll;

/// What counts as ready in each of the three lists, as Linux's select(2) has it.
const READ: i16 = POLLIN | POLLHUP | POLLERR;
const WRITE: i16 = POLLOUT | POLLERR;
const EXCEPT: i16 = POLLPRI;

/// The ready ones of the lists given to [`select`], as positions in them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Of the first list: input, end of file or an error to be had.
    pub read: Vec<usize>,
    /// Of the second: room for output, or an error to be had.
    pub write: Vec<usize>,
    /// Of the third: urgent data.
    pub except: Vec<usize>,
}

/// Waits until one of the descriptors is ready, or the time is up (`None`: for ever). `select.select` over `poll(2)`: no
/// `FD_SETSIZE`. A descriptor listed twice is reported twice; one that is not open is `EBADF`.
pub fn select(read: &[RawFd], write: &[RawFd], except: &[RawFd], timeout: Option<Duration>) -> Result<Selected, Error> {
    let deadline = Deadline::after(timeout);
    let mut masks = BTreeMap::<RawFd, i16>::new();
    for (list, mask) in [(read, POLLIN), (write, POLLOUT), (except, POLLPRI)] {
        for &fd in list {
            *masks.entry(fd).or_default() |= mask;
        }
    }
    let mut poll = Poll::new();
    for (fd, mask) in masks {
        poll.register(fd, mask)
            .map_err(|error| Error::system("select", error.errno()))?;
    }
    loop {
        let ready = poll.poll(deadline.remaining())?;
        if ready.iter().any(|(_, mask)| mask & POLLNVAL != 0) {
            return Err(Error::system("select", Errno::EBADF));
        }
        let positions = |list: &[RawFd], mask: i16| -> Vec<usize> {
            let is_ready = |fd| {
                ready
                    .binary_search_by_key(fd, |entry| entry.0)
                    .is_ok_and(|at| ready[at].1 & mask != 0)
            };
            (0..list.len()).filter(|&position| is_ready(&list[position])).collect()
        };
        let selected = Selected {
            read: positions(read, READ),
            write: positions(write, WRITE),
            except: positions(except, EXCEPT),
        };
        if selected != Selected::default() || deadline.passed() {
            return Ok(selected);
        }
        // poll(2) reports a hang-up or an error unasked, in lists for which it does not count, and would go on doing so.
        for (fd, _) in ready {
            poll.unregister(fd)?;
        }
    }
}
