use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fdwire_system::Error;

use crate::kevent::KEvent;
use crate::platform::{self, kq};

/// Python's names for filters, flags and notes, and `USER`'s in the same manner, with this system's numbers (FreeBSD's
/// where there is no kqueue).
/// `KQ_FILTER_NETDEV` and its `KQ_NOTE_LINK*` are not among them: no system has that filter any more, and its number
/// means something else now.
pub const KQUEUE_CONSTANTS: &[(&str, i64)] = &[
    ("KQ_FILTER_READ", kq::EVFILT_READ as i64),
    ("KQ_FILTER_WRITE", kq::EVFILT_WRITE as i64),
    ("KQ_FILTER_AIO", kq::EVFILT_AIO as i64),
    ("KQ_FILTER_VNODE", kq::EVFILT_VNODE as i64),
    ("KQ_FILTER_PROC", kq::EVFILT_PROC as i64),
    ("KQ_FILTER_SIGNAL", kq::EVFILT_SIGNAL as i64),
    ("KQ_FILTER_TIMER", kq::EVFILT_TIMER as i64),
    ("KQ_FILTER_USER", kq::EVFILT_USER as i64),
    ("KQ_EV_ADD", kq::EV_ADD as i64),
    ("KQ_EV_DELETE", kq::EV_DELETE as i64),
    ("KQ_EV_ENABLE", kq::EV_ENABLE as i64),
    ("KQ_EV_DISABLE", kq::EV_DISABLE as i64),
    ("KQ_EV_ONESHOT", kq::EV_ONESHOT as i64),
    ("KQ_EV_CLEAR", kq::EV_CLEAR as i64),
    ("KQ_EV_SYSFLAGS", kq::EV_SYSFLAGS as i64),
    ("KQ_EV_FLAG1", kq::EV_FLAG1 as i64),
    ("KQ_EV_EOF", kq::EV_EOF as i64),
    ("KQ_EV_ERROR", kq::EV_ERROR as i64),
    ("KQ_NOTE_LOWAT", kq::NOTE_LOWAT as i64),
    ("KQ_NOTE_DELETE", kq::NOTE_DELETE as i64),
    ("KQ_NOTE_WRITE", kq::NOTE_WRITE as i64),
    ("KQ_NOTE_EXTEND", kq::NOTE_EXTEND as i64),
    ("KQ_NOTE_ATTRIB", kq::NOTE_ATTRIB as i64),
    ("KQ_NOTE_LINK", kq::NOTE_LINK as i64),
    ("KQ_NOTE_RENAME", kq::NOTE_RENAME as i64),
    ("KQ_NOTE_REVOKE", kq::NOTE_REVOKE as i64),
    ("KQ_NOTE_EXIT", kq::NOTE_EXIT as i64),
    ("KQ_NOTE_FORK", kq::NOTE_FORK as i64),
    ("KQ_NOTE_EXEC", kq::NOTE_EXEC as i64),
    ("KQ_NOTE_PCTRLMASK", kq::NOTE_PCTRLMASK as i64),
    ("KQ_NOTE_PDATAMASK", kq::NOTE_PDATAMASK as i64),
    ("KQ_NOTE_TRACK", kq::NOTE_TRACK as i64),
    ("KQ_NOTE_TRACKERR", kq::NOTE_TRACKERR as i64),
    ("KQ_NOTE_CHILD", kq::NOTE_CHILD as i64),
    ("KQ_NOTE_TRIGGER", kq::NOTE_TRIGGER as i64),
    ("KQ_NOTE_FFNOP", kq::NOTE_FFNOP as i64),
    ("KQ_NOTE_FFAND", kq::NOTE_FFAND as i64),
    ("KQ_NOTE_FFOR", kq::NOTE_FFOR as i64),
    ("KQ_NOTE_FFCOPY", kq::NOTE_FFCOPY as i64),
    ("KQ_NOTE_FFCTRLMASK", kq::NOTE_FFCTRLMASK as i64),
    ("KQ_NOTE_FFLAGSMASK", kq::NOTE_FFLAGSMASK as i64),
];

/// `kqueue(2)` with exact events (`select.kqueue`).
#[derive(Debug)]
pub struct Kqueue(platform::Kqueue);

impl Kqueue {
    /// A new, close-on-exec queue. [`Error::Unsupported`] where the system has none.
    pub fn new() -> Result<Self, Error> {
        platform::Kqueue::new().map(Self)
    }

    /// Takes over an existing queue. That it is one is noticed on use only.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        platform::Kqueue::from_fd(fd).map(Self)
    }

    /// Applies the changes, then waits for at least one event and returns up to `max_events`, or none when the time is
    /// up. With `max_events` 0 it does not wait. `None` waits for ever. A change that fails is an event with `EV_ERROR`
    /// while there is room for it, else the error of the call.
    pub fn control(
        &self,
        changes: &[KEvent],
        max_events: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<KEvent>, Error> {
        self.0.kevent(changes, max_events, timeout)
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_values_fit_their_fields() {
        let mut names: Vec<_> = KQUEUE_CONSTANTS.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KQUEUE_CONSTANTS.len());
        for &(name, value) in KQUEUE_CONSTANTS {
            let fits = match name.split('_').nth(1) {
                Some("FILTER") => i16::try_from(value).is_ok(),
                Some("EV") => u16::try_from(value).is_ok(),
                _ => u32::try_from(value).is_ok(),
            };
            assert!(fits, "{name}");
        }
    }
}
