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

/// FreeBSD's numbers, so that what is built of them can be tested anywhere.
pub(crate) mod kq {
    pub(crate) const EVFILT_READ: i16 = -1;
    pub(crate) const EVFILT_WRITE: i16 = -2;
    pub(crate) const EVFILT_AIO: i16 = -3;
    pub(crate) const EVFILT_VNODE: i16 = -4;
    pub(crate) const EVFILT_PROC: i16 = -5;
    pub(crate) const EVFILT_SIGNAL: i16 = -6;
    pub(crate) const EVFILT_TIMER: i16 = -7;
    pub(crate) const EVFILT_USER: i16 = -11;
    pub(crate) const EV_ADD: u16 = 0x1;
    pub(crate) const EV_DELETE: u16 = 0x2;
    pub(crate) const EV_ENABLE: u16 = 0x4;
    pub(crate) const EV_DISABLE: u16 = 0x8;
    pub(crate) const EV_ONESHOT: u16 = 0x10;
    pub(crate) const EV_CLEAR: u16 = 0x20;
    pub(crate) const EV_RECEIPT: u16 = 0x40;
    pub(crate) const EV_SYSFLAGS: u16 = 0xf000;
    pub(crate) const EV_FLAG1: u16 = 0x2000;
    pub(crate) const EV_ERROR: u16 = 0x4000;
    pub(crate) const EV_EOF: u16 = 0x8000;
    pub(crate) const NOTE_LOWAT: u32 = 0x1;
    pub(crate) const NOTE_DELETE: u32 = 0x1;
    pub(crate) const NOTE_WRITE: u32 = 0x2;
    pub(crate) const NOTE_EXTEND: u32 = 0x4;
    pub(crate) const NOTE_ATTRIB: u32 = 0x8;
    pub(crate) const NOTE_LINK: u32 = 0x10;
    pub(crate) const NOTE_RENAME: u32 = 0x20;
    pub(crate) const NOTE_REVOKE: u32 = 0x40;
    pub(crate) const NOTE_EXIT: u32 = 0x8000_0000;
    pub(crate) const NOTE_FORK: u32 = 0x4000_0000;
    pub(crate) const NOTE_EXEC: u32 = 0x2000_0000;
    pub(crate) const NOTE_PCTRLMASK: u32 = 0xf000_0000;
    pub(crate) const NOTE_PDATAMASK: u32 = 0x000f_ffff;
    pub(crate) const NOTE_TRACK: u32 = 0x1;
    pub(crate) const NOTE_TRACKERR: u32 = 0x2;
    pub(crate) const NOTE_CHILD: u32 = 0x4;
    pub(crate) const NOTE_TRIGGER: u32 = 0x0100_0000;
    pub(crate) const NOTE_FFNOP: u32 = 0;
    pub(crate) const NOTE_FFAND: u32 = 0x4000_0000;
    pub(crate) const NOTE_FFOR: u32 = 0x8000_0000;
    pub(crate) const NOTE_FFCOPY: u32 = 0xc000_0000;
    pub(crate) const NOTE_FFCTRLMASK: u32 = 0xc000_0000;
    pub(crate) const NOTE_FFLAGSMASK: u32 = 0x00ff_ffff;
}
