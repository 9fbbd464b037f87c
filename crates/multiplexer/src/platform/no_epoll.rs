use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use fdwire_system::Error;

#[derive(Debug)]
pub(crate) enum Epoll {}

impl Epoll {
    pub(crate) fn new() -> Result<Self, Error> {
        Err(Error::Unsupported("epoll"))
    }

    pub(crate) fn from_fd(_: OwnedFd) -> Result<Self, Error> {
        Err(Error::Unsupported("epoll"))
    }

    pub(crate) fn add(&self, _: RawFd, _: u32, _: u64) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn modify(&self, _: RawFd, _: u32, _: u64) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn delete(&self, _: RawFd) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn wait(&self, _: Option<Duration>, _: usize) -> Result<Vec<(u64, u32)>, Error> {
        match *self {}
    }

    pub(crate) fn replace(&mut self, fresh: Self) -> Result<(), Error> {
        match fresh {}
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}
