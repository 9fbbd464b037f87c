use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fdwire_system::Error;

use crate::kevent::KEvent;

#[derive(Debug)]
pub(crate) enum Kqueue {}

impl Kqueue {
    pub(crate) fn new() -> Result<Self, Error> {
        Err(Error::Unsupported("kqueue"))
    }

    pub(crate) fn from_fd(_: OwnedFd) -> Result<Self, Error> {
        Err(Error::Unsupported("kqueue"))
    }

    pub(crate) fn kevent(&self, _: &[KEvent], _: usize, _: Option<Duration>) -> Result<Vec<KEvent>, Error> {
        match *self {}
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}
