use std::time::{Duration, Instant};

/// The longest single wait asked of the system. Some refuse more than a few years, and milliseconds in a `c_int` end
/// after 24 days; those who wait come back, so nothing returns early.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// When a wait ends, kept over interruptions and split waits.
#[derive(Debug, Clone, Copy)]
pub enum Deadline {
    /// It does not wait.
    Now,
    /// At this time.
    At(Instant),
    /// It waits for ever.
    Never,
}

impl Deadline {
    /// `None`, and a timeout beyond the clock's range, wait for ever. 0 needs no clock.
    pub fn after(timeout: Option<Duration>) -> Self {
        match timeout {
            Some(Duration::ZERO) => Deadline::Now,
            Some(timeout) => Instant::now()
                .checked_add(timeout)
                .map_or(Deadline::Never, Deadline::At),
            None => Deadline::Never,
        }
    }

    /// How long to ask the system to wait now: a day at the most, `None` for ever.
    pub fn remaining(self) -> Option<Duration> {
        match self {
            Deadline::Now => Some(Duration::ZERO),
            Deadline::At(end) => Some(end.saturating_duration_since(Instant::now()).min(LONGEST)),
            Deadline::Never => None,
        }
    }

    /// The time is up.
    pub fn passed(self) -> bool {
        match self {
            Deadline::Now => true,
            Deadline::At(end) => end <= Instant::now(),
            Deadline::Never => false,
        }
    }
}

/// As `poll(2)` and `epoll_wait(2)` take a timeout: rounded up, -1 for ever.
pub fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    timeout.map_or(-1, |timeout| {
        libc::c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
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
        assert_eq!(milliseconds(Some(Duration::from_micros(1001))), 2);
        assert_eq!(milliseconds(Some(Duration::from_millis(5))), 5);
        assert_eq!(milliseconds(Some(Duration::from_nanos(5_000_001))), 6);
        assert_eq!(milliseconds(Some(Duration::MAX)), libc::c_int::MAX);
    }

    #[test]
    fn a_wait_is_never_asked_to_last_longer_than_a_day() {
        assert_eq!(Deadline::after(Some(LONGEST * 30)).remaining(), Some(LONGEST));
        assert_eq!(Deadline::after(Some(Duration::MAX)).remaining(), None);
        assert_eq!(Deadline::after(None).remaining(), None);
    }

    #[test]
    fn no_time_at_all_has_passed_already() {
        let now = Deadline::after(Some(Duration::ZERO));
        assert!(now.passed());
        assert_eq!(now.remaining(), Some(Duration::ZERO));
        assert!(!Deadline::after(None).passed());
    }
}
