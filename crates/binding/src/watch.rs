//! A descriptor whose readiness JavaScript waits for: a listener, a socket being connected, a selector.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fdwire_ancillary::Readiness;
use fdwire_multiplexer::{
    EVENT_READ, Epoll, Event, Interest, Kqueue, Notifier, Options, RegularFiles, Selector, Token, select,
};
use napi::Result;
use napi::bindgen_prelude::Int32ArraySlice;
use napi_derive::napi;

use crate::codes::{READABLE, WRITABLE, duration};
use crate::environment::{self, Shared, Source};
use crate::listener::Listener;

/// What is watched.
pub(crate) enum Subject {
    Descriptor(OwnedFd),
    Listener(Box<Listener>),
    Epoll(Epoll),
    Kqueue(Kqueue),
    Notifier(Notifier),
    Selector(Box<Selector>),
}

impl AsFd for Subject {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Subject::Descriptor(fd) => fd.as_fd(),
            Subject::Listener(listener) => listener.as_fd(),
            Subject::Epoll(epoll) => epoll.as_fd(),
            Subject::Kqueue(kqueue) => kqueue.as_fd(),
            Subject::Notifier(notifier) => notifier.as_fd(),
            Subject::Selector(selector) => selector.as_fd(),
        }
    }
}

impl From<OwnedFd> for Subject {
    fn from(fd: OwnedFd) -> Subject {
        Subject::Descriptor(fd)
    }
}

pub(crate) struct Watch {
    pub(crate) fd: Subject,
    token: Token,
    registered: bool,
    armed: bool,
    /// Keeps the process alive even while not armed: an open listener.
    held: bool,
    referenced: bool,
    active: bool,
}

impl Watch {
    pub(crate) fn new(fd: impl Into<Subject>, token: Token) -> Watch {
        Watch {
            fd: fd.into(),
            token,
            registered: false,
            armed: false,
            held: false,
            referenced: true,
            active: false,
        }
    }

    /// Asks for one report, also of what is ready already.
    pub(crate) fn arm(&mut self, shared: &Shared, interest: Interest) -> std::result::Result<(), i32> {
        let reactor = shared.reactor.borrow();
        let fd = self.fd.as_fd();
        let armed = match &self.fd {
            // The edge is yet to come.
            Subject::Listener(listener) if self.registered && listener.is_drained() => Ok(()),
            // A set of descriptors may have replaced itself, and so have left the reactor.
            _ if self.registered => reactor.arm(fd, self.token, interest),
            _ => reactor.register(fd, self.token, interest),
        };
        armed.map_err(|error| shared.fail_multiplexer(&error))?;
        self.registered = true;
        self.armed = true;
        self.update(shared);
        Ok(())
    }

    /// This turn's share is used up: the watch is reported again in the next turn.
    pub(crate) fn await_turn(&mut self, shared: &Shared) {
        shared.reactor.borrow_mut().resume(self.token);
        self.armed = true;
        self.update(shared);
    }

    pub(crate) fn ready(&mut self, shared: &Shared, event: Event) -> u32 {
        if let Subject::Listener(listener) = &mut self.fd {
            listener.ready();
        }
        if !self.armed {
            return 0;
        }
        self.armed = false;
        self.update(shared);
        (u32::from(event.readable) * READABLE) | (u32::from(event.writable) * WRITABLE)
    }

    fn update(&mut self, shared: &Shared) {
        let active = (self.armed || self.held) && self.referenced;
        if active != self.active {
            self.active = active;
            shared.activate(active);
        }
    }

    /// Takes the watch off the reactor, before its descriptor closes or moves on.
    pub(crate) fn stop(&mut self, shared: &Shared) {
        self.armed = false;
        self.held = false;
        self.update(shared);
        if self.registered {
            self.registered = false;
            // It may be gone from the kernel's table already: nothing to undo then.
            let _ = shared.reactor.borrow().deregister(self.fd.as_fd());
        }
    }
}

pub(crate) fn with_watch<R>(id: u32, absent: R, f: impl FnOnce(&Shared, &mut Watch) -> R) -> Result<R> {
    environment::with(
        |environment| match environment.sources.borrow_mut().get_mut(id as usize) {
            Some(environment::Entry {
                source: Source::Watch(watch),
                ..
            }) => f(&environment.shared, watch),
            _ => absent,
        },
    )
}

/// Watches a descriptor that JavaScript holds, or a copy of it where it stays with its owner.
#[napi]
pub fn watch_open(realm: u32, fd: i32, copy: bool) -> Result<i32> {
    environment::with(|environment| {
        let shared = &environment.shared;
        let owned = if copy {
            crate::descriptors::borrow(fd).and_then(fdwire_ancillary::duplicate)
        } else {
            shared.take_back(fd).ok_or_else(crate::descriptors::bad_descriptor)
        };
        match owned {
            Ok(fd) => {
                let realm = environment.realm(realm)?;
                Ok(environment.insert(realm, |token| Source::Watch(Box::new(Watch::new(fd, token)))) as i32)
            }
            Err(error) => Ok(shared.fail(&error)),
        }
    })?
}

/// Watches several descriptors at once: readable when one of them is.
#[napi]
pub fn watch_open_set(realm: u32, fds: Int32ArraySlice<'_>) -> Result<i32> {
    environment::with(|environment| match set_of(fds.as_ref()) {
        Ok(set) => {
            let realm = environment.realm(realm)?;
            Ok(environment.insert(realm, |token| Source::Watch(Box::new(Watch::new(set, token)))) as i32)
        }
        Err(code) => Ok(code),
    })?
}

fn set_of(fds: &[i32]) -> std::result::Result<Subject, i32> {
    let code = |error: fdwire_multiplexer::Error| -(error.errno() as i32);
    let mut selector = Selector::new(RegularFiles::AlwaysReady).map_err(code)?;
    for &fd in fds {
        selector.register(fd, EVENT_READ, Options::default()).map_err(code)?;
    }
    Ok(Subject::Selector(Box::new(selector)))
}

/// Asks which of `fds` are readable, closed or in error, and leaves 1 or 0 in the place of each. Blocks for at most
/// `timeout` milliseconds. Returns how many are, or `-errno`.
#[napi]
pub fn poll_readable(mut fds: Int32ArraySlice<'_>, timeout: f64) -> Result<i32> {
    environment::with(|environment| match select(fds.as_ref(), &[], &[], duration(timeout)) {
        Ok(selected) => {
            // SAFETY: JavaScript runs on this thread only, and nothing here calls it.
            let words = unsafe { fds.as_mut() };
            words.fill(0);
            for &index in &selected.read {
                words[index] = 1;
            }
            selected.read.len() as i32
        }
        Err(error) => environment.shared.fail_multiplexer(&error),
    })
}

/// Asks for one report when the descriptor is readable, or writable.
#[napi]
pub fn watch_arm(id: u32, writable: bool) -> Result<i32> {
    let interest = if writable { Interest::Write } else { Interest::Read };
    with_watch(id, -libc::EBADF, |shared, watch| {
        watch.arm(shared, interest).err().unwrap_or(0)
    })
}

/// Blocks until the descriptor is readable, or writable, for at most `timeout` milliseconds: 1 when it is, else 0, or
/// `-errno`.
#[napi]
pub fn watch_wait(id: u32, writable: bool, timeout: f64) -> Result<i32> {
    let interest = if writable {
        Readiness::WRITABLE
    } else {
        Readiness::READABLE
    };
    with_watch(id, -libc::EBADF, |shared, watch| {
        match fdwire_ancillary::poll(watch.fd.as_fd(), interest, duration(timeout)) {
            Ok(Readiness {
                readable: false,
                writable: false,
            }) => 0,
            Ok(_) => {
                if let Subject::Listener(listener) = &mut watch.fd {
                    listener.ready();
                }
                1
            }
            Err(error) => shared.fail(&error),
        }
    })
}

/// Takes the request for a report back.
#[napi]
pub fn watch_disarm(id: u32) -> Result<()> {
    with_watch(id, (), |shared, watch| {
        watch.armed = false;
        watch.update(shared);
    })
}

/// The watch keeps the process alive as long as it is open.
#[napi]
pub fn watch_hold(id: u32) -> Result<()> {
    with_watch(id, (), |shared, watch| {
        watch.held = true;
        watch.update(shared);
    })
}

/// Whether an armed watch keeps the process alive.
#[napi]
pub fn watch_reference(id: u32, referenced: bool) -> Result<()> {
    with_watch(id, (), |shared, watch| {
        watch.referenced = referenced;
        watch.update(shared);
    })
}

/// The descriptor's number.
#[napi]
pub fn watch_descriptor(id: u32) -> Result<i32> {
    use std::os::fd::AsRawFd;
    with_watch(id, -1, |_, watch| watch.fd.as_fd().as_raw_fd())
}

/// Ends the watch and closes the descriptor.
#[napi]
pub fn watch_close(id: u32) -> Result<()> {
    environment::with(|environment| {
        if let Some(mut entry) = environment.remove(id)
            && let Source::Watch(watch) = &mut entry.source
        {
            watch.stop(&environment.shared);
        }
    })
}

/// Ends the watch and hands the descriptor back.
#[napi]
pub fn watch_release(id: u32) -> Result<i32> {
    environment::with(|environment| match environment.remove(id) {
        Some(environment::Entry {
            source: Source::Watch(mut watch),
            ..
        }) => {
            watch.stop(&environment.shared);
            match watch.fd {
                Subject::Descriptor(fd) => environment.shared.hand_out(fd),
                _ => -libc::EBADF,
            }
        }
        _ => -libc::EBADF,
    })
}

/// Opens something that has readiness of its own: the number of its watch, or a negative code.
pub(crate) fn open(
    realm: u32,
    make: impl FnOnce() -> std::result::Result<Subject, fdwire_multiplexer::Error>,
) -> Result<i32> {
    environment::with(|environment| {
        let realm = environment.realm(realm)?;
        Ok(match make() {
            Ok(subject) => {
                environment.insert(realm, |token| Source::Watch(Box::new(Watch::new(subject, token)))) as i32
            }
            Err(error) => environment.shared.fail_multiplexer(&error),
        })
    })?
}

/// The same of a descriptor that JavaScript holds, and goes on holding where the system does not have such a thing.
pub(crate) fn adopt(
    realm: u32,
    fd: i32,
    available: std::result::Result<(), fdwire_multiplexer::Error>,
    make: impl FnOnce(OwnedFd) -> std::result::Result<Subject, fdwire_multiplexer::Error>,
) -> Result<i32> {
    if let Err(error) = available {
        return environment::with(|environment| environment.shared.fail_multiplexer(&error));
    }
    environment::with(|environment| match environment.shared.take_back(fd) {
        Some(owned) => open(realm, || make(owned)),
        None => Ok(environment.shared.fail(&crate::descriptors::bad_descriptor())),
    })?
}
