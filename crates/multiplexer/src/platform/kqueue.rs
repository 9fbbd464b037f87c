use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fdwire_system::{Deadline, Error, check, wait_set};
use libc::{c_int, time_t, timespec};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::event;

use crate::kevent::KEvent;

/// Events taken per wait; more come with the next one.
const EVENTS: usize = 1 << 16;

/// `kqueue(2)`. The system's own structure instead of nix's, whose filters and flags are closed sets.
#[derive(Debug)]
pub(crate) struct Kqueue(OwnedFd);

impl Kqueue {
    pub(crate) fn new() -> Result<Self, Error> {
        let fd = OwnedFd::from(check("kqueue", event::Kqueue::new())?);
        // Unlike epoll_create1, kqueue() has no flag for it.
        check("fcntl", fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)))?;
        Ok(Self(fd))
    }

    pub(crate) fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        Ok(Self(fd))
    }

    pub(crate) fn kevent(
        &self,
        changes: &[KEvent],
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<KEvent>, Error> {
        let mut changes: Vec<libc::kevent> = changes.iter().map(to_system).collect();
        // Only the events that come are written: room for many costs nothing.
        let mut events: Vec<libc::kevent> = Vec::with_capacity(max.min(EVENTS));
        // Without room for events kevent() returns at once, whatever the timeout.
        let timeout = if max == 0 { Some(Duration::ZERO) } else { timeout };
        let count = wait_set("kevent", self.as_fd(), Deadline::after(timeout), |left| {
            let left = left.map(|left| timespec {
                tv_sec: left.as_secs() as time_t,
                tv_nsec: left.subsec_nanos().into(),
            });
            // SAFETY: both arrays live through the call; the one has its length, the other room for what is said.
            let result = unsafe {
                libc::kevent(
                    self.0.as_raw_fd(),
                    changes.as_ptr(),
                    changes.len() as c_int,
                    events.as_mut_ptr(),
                    max.min(EVENTS) as c_int,
                    left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
                )
            };
            // An interrupted call has applied them, and so has one that timed out.
            changes.clear();
            Errno::result(result).map(|count| count as usize)
        });
        // SAFETY: the system has written that many.
        unsafe { events.set_len(count?) };
        Ok(events.iter().map(from_system).collect())
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn to_system(event: &KEvent) -> libc::kevent {
    // SAFETY: numbers and a pointer, for which zero is a value. FreeBSD has fields beyond the common ones.
    let mut system: libc::kevent = unsafe { std::mem::zeroed() };
    system.ident = event.ident;
    system.filter = event.filter;
    system.flags = event.flags;
    system.fflags = event.fflags;
    system.data = event.data as _;
    system.udata = event.udata as *mut libc::c_void;
    system
}

fn from_system(system: &libc::kevent) -> KEvent {
    KEvent {
        ident: system.ident,
        filter: system.filter,
        flags: system.flags,
        fflags: system.fflags,
        data: system.data as _,
        udata: system.udata as isize,
    }
}
