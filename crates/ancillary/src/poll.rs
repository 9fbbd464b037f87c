use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::{Error, Result};

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

    fn flags(self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, self.readable);
        flags.set(PollFlags::POLLOUT, self.writable);
        flags
    }
}

/// Waits until `fd` is ready in a direction of `interest`; neither is ready when the time is over.
///
/// `None` waits for ever. It never returns early, signals or not. A descriptor that is not open is `EBADF`.
pub fn poll(fd: BorrowedFd<'_>, interest: Readiness, timeout: Option<Duration>) -> Result<Readiness> {
    // A deadline that the clock cannot express is for ever.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut set = [PollFd::new(fd, interest.flags())];
    loop {
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match nix::poll::poll(&mut set, remaining.map_or(PollTimeout::NONE, milliseconds)) {
            Ok(0) | Err(Errno::EINTR) => {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Ok(Readiness::default());
                }
            }
            Ok(_) => return ready(set[0].revents().unwrap_or(PollFlags::POLLERR), interest),
            Err(errno) => return Err(Error::system("poll", errno)),
        }
    }
}

fn ready(events: PollFlags, interest: Readiness) -> Result<Readiness> {
    if events.contains(PollFlags::POLLNVAL) {
        return Err(Error::system("poll", Errno::EBADF));
    }
    let over = events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
    Ok(Readiness {
        readable: interest.readable && (over || events.contains(PollFlags::POLLIN)),
        writable: interest.writable && (over || events.contains(PollFlags::POLLOUT)),
    })
}

/// Rounded up; what does not fit is waited for in parts.
fn milliseconds(duration: Duration) -> PollTimeout {
    let milliseconds = duration.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds)
        .ok()
        .and_then(|value| PollTimeout::try_from(value).ok())
        .unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_millisecond_count_as_one() {
        assert_eq!(milliseconds(Duration::ZERO), PollTimeout::from(0u8));
        assert_eq!(milliseconds(Duration::from_nanos(1)), PollTimeout::from(1u8));
        assert_eq!(milliseconds(Duration::from_micros(1001)), PollTimeout::from(2u8));
        assert_eq!(milliseconds(Duration::MAX), PollTimeout::MAX);
    }
}
