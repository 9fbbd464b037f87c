//! Descriptors that JavaScript knows by their numbers, and that are ours to close.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Each at its number: the lowest free one is what a new descriptor gets.
#[derive(Debug, Default)]
pub struct Descriptors(RefCell<Vec<Option<OwnedFd>>>);

impl Descriptors {
    /// Keeps a descriptor on behalf of JavaScript; returns its number.
    pub fn hand_out(&self, fd: OwnedFd) -> RawFd {
        let number = fd.as_raw_fd();
        let mut descriptors = self.0.borrow_mut();
        let index = number as usize;
        if index >= descriptors.len() {
            descriptors.resize_with(index + 1, || None);
        }
        if let Some(stale) = descriptors[index].replace(fd) {
            // The number was closed behind our back, or it could not have been given out again: the new owner keeps it.
            std::mem::forget(stale);
        }
        number
    }

    /// Takes one back.
    pub fn take_back(&self, number: RawFd) -> Option<OwnedFd> {
        let index = usize::try_from(number).ok()?;
        self.0.borrow_mut().get_mut(index)?.take()
    }
}
