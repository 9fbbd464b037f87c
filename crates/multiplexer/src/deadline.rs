use std::time::{Duration, Instant};

use libc::c_int;
use nix::errno::Errno;

/// The longest single wait asked of the system. Some refuse more than a few years, and milliseconds in a `c_int` end
/// after 24 days; the callers come back, so nothing returns early.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// When a wait ends, kept over interruptions and split waits. `None` waits for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// A timeout beyond the clock's range waits for ever.
    pub(crate) fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// How long to ask the system to wait now.
    pub(crate) fn remaining(self) -> Option<Duration> {
        self.0
            .map(|end| end.saturating_duration_since(Instant::now()).min(LONGEST))
    }

    pub(crate) fn passed(self) -> bool {
        self.0.is_some_and(|end| end <= Instant::now())
    }

    /// Calls `wait` with the time that is left until it has something, fails, or the time is up.
    pub(crate) fn retry(self, mut wait: impl FnMut(Option<Duration>) -> nix::Result<usize>) -> nix::Result<usize> {
        loop {
            match wait(self.remaining()) {
                Ok(0) if !self.passed() => {}
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    }
}

/// As `poll(2)` and `epoll_wait(2)` take it: rounded up, -1 for ever.
pub(crate) fn milliseconds(timeout: Option<Duration>) -> c_int {
    timeout.map_or(-1, |timeout| {
        c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_up() {
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::from_millis(5))), 5);
        assert_eq!(milliseconds(Some(Duration::from_nanos(5_000_001))), 6);
        assert_eq!(milliseconds(Some(Duration::MAX)), c_int::MAX);
    }

    #[test]
    fn a_wait_is_never_asked_to_last_longer_than_a_day() {
        assert_eq!(Deadline::after(Some(LONGEST * 30)).remaining(), Some(LONGEST));
        assert_eq!(Deadline::after(Some(Duration::MAX)).remaining(), None);
        assert_eq!(Deadline::after(None).remaining(), None);
    }

    #[test]
    fn interruptions_and_early_returns_are_retried() {
        let mut results = [Err(Errno::EINTR), Ok(0), Err(Errno::EINTR), Ok(2)].into_iter();
        assert_eq!(Deadline::after(None).retry(|_| results.next().unwrap()), Ok(2));
        assert_eq!(Deadline::after(None).retry(|_| Err(Errno::EBADF)), Err(Errno::EBADF));
    }

    #[test]
    fn a_wait_that_is_over_is_tried_once() {
        let mut calls = 0;
        let result = Deadline::after(Some(Duration::ZERO)).retry(|left| {
            calls += 1;
            assert_eq!(left, Some(Duration::ZERO));
            Ok(0)
        });
        assert_eq!((result, calls), (Ok(0), 1));
    }
}
