//! A descriptor whose readiness JavaScript waits for: a listener, a socket being connected, a selector.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

use fdwire_ancillary::{self as ancillary, Readiness};
use fdwire_engine::{Error, Subject, Watch};
use fdwire_multiplexer::{EVENT_READ, Interest, Options, RegularFiles, Selector, select};
use napi::Result;
use napi::bindgen_prelude::Int32ArraySlice;
use napi_derive::napi;

use super::descriptor::{BAD_DESCRIPTOR, borrow};
use crate::codes::duration;
use crate::environment::{self, Environment, Source, answering, watch};
use crate::napi::realm::Realm;

/// Adds a watch; returns its number.
pub(crate) fn insert(environment: &Environment, realm: Rc<Realm>, subject: Subject) -> i32 {
    let make = |token| Source::Watch(Box::new(Watch::new(subject, token)));
    environment.table.insert(realm, make) as i32
}

/// Opens something that has readiness of its own: the number of its watch, or a code.
pub(crate) fn open(realm: u32, make: impl FnOnce() -> fdwire_engine::Result<Subject>) -> Result<i32> {
    answering(|environment| Ok(insert(environment, environment.realm(realm)?, make()?)))
}

/// The same of a descriptor that JavaScript holds, and goes on holding where the system does not have such a thing.
pub(crate) fn adopt(
    realm: u32,
    fd: i32,
    available: std::result::Result<(), fdwire_multiplexer::Error>,
    make: impl FnOnce(OwnedFd) -> std::result::Result<Subject, fdwire_multiplexer::Error>,
) -> Result<i32> {
    answering(|environment| {
        available?;
        let realm = environment.realm(realm)?;
        let owned = environment.shared().descriptors.take_back(fd).ok_or(BAD_DESCRIPTOR)?;
        Ok(insert(environment, realm, make(owned)?))
    })
}

/// Watches a descriptor that JavaScript holds, or a copy of it where it stays with its owner.
#[napi(catch_unwind)]
pub fn watch_open(realm: u32, fd: i32, copy: bool) -> Result<i32> {
    answering(|environment| {
        let realm = environment.realm(realm)?;
        let owned = if copy {
            borrow(fd, |fd| Ok::<_, Error>(ancillary::duplicate(fd)?))?
        } else {
            environment.shared().descriptors.take_back(fd).ok_or(BAD_DESCRIPTOR)?
        };
        Ok(insert(environment, realm, Subject::Descriptor(owned)))
    })
}

/// Watches several descriptors at once: readable when one of them is.
#[napi(catch_unwind)]
pub fn watch_open_set(realm: u32, fds: Int32ArraySlice<'_>) -> Result<i32> {
    open(realm, || {
        let mut selector = Selector::new(RegularFiles::AlwaysReady)?;
        for &fd in fds.as_ref() {
            selector.register(fd, EVENT_READ, Options::default())?;
        }
        Ok(Subject::Selector(Box::new(selector)))
    })
}

/// Asks which of `fds` are readable, closed or in error, and leaves 1 or 0 in the place of each. Blocks for at most
/// `timeout` milliseconds. Returns how many are, or a code.
#[napi(catch_unwind)]
pub fn poll_readable(mut fds: Int32ArraySlice<'_>, timeout: f64) -> Result<i32> {
    answering(|_| {
        let selected = select(fds.as_ref(), &[], &[], duration(timeout))?;
        // SAFETY: JavaScript runs on this thread only, and nothing here calls it.
        let words = unsafe { fds.as_mut() };
        words.fill(0);
        for &index in &selected.read {
            words[index] = 1;
        }
        Ok(selected.read.len() as i32)
    })
}

/// Asks for one report when the descriptor is readable, or writable.
#[napi(catch_unwind)]
pub fn watch_arm(id: u32, writable: bool) -> Result<i32> {
    let direction = if writable { Interest::Write } else { Interest::Read };
    watch(id, |shared, watch| watch.arm(shared, direction).map(|()| 0))
}

/// Blocks until the descriptor is readable, or writable, for at most `timeout` milliseconds: 1 when it is, else 0, or a
/// code.
#[napi(catch_unwind)]
pub fn watch_wait(id: u32, writable: bool, timeout: f64) -> Result<i32> {
    let directions = if writable {
        Readiness::WRITABLE
    } else {
        Readiness::READABLE
    };
    watch(id, |_, watch| watch.wait(directions, duration(timeout)).map(i32::from))
}

/// Takes the request for a report back.
#[napi(catch_unwind)]
pub fn watch_disarm(id: u32) -> Result<i32> {
    watch(id, |shared, watch| {
        watch.disarm(shared);
        Ok(0)
    })
}

/// The watch keeps the process alive as long as it is open.
#[napi(catch_unwind)]
pub fn watch_hold(id: u32) -> Result<i32> {
    watch(id, |shared, watch| {
        watch.hold(shared);
        Ok(0)
    })
}

/// Whether an armed watch keeps the process alive.
#[napi(catch_unwind)]
pub fn watch_reference(id: u32, referenced: bool) -> Result<i32> {
    watch(id, |shared, watch| {
        watch.reference(shared, referenced);
        Ok(0)
    })
}

/// The descriptor's number.
#[napi(catch_unwind)]
pub fn watch_descriptor(id: u32) -> Result<i32> {
    watch(id, |_, watch| Ok(watch.subject().as_fd().as_raw_fd()))
}

/// Ends the watch and closes the descriptor.
#[napi(catch_unwind)]
pub fn watch_close(id: u32) -> Result<()> {
    environment::with(|environment| {
        if let Some(Source::Watch(watch)) = environment.table.remove(id) {
            drop(watch.into_subject(environment.shared()));
        }
    })
}

/// Ends the watch and hands the descriptor back.
#[napi(catch_unwind)]
pub fn watch_release(id: u32) -> Result<i32> {
    answering(|environment| match environment.table.remove(id) {
        Some(Source::Watch(watch)) => match watch.into_subject(environment.shared()) {
            Subject::Descriptor(fd) => Ok(environment.shared().descriptors.hand_out(fd)),
            _ => Err(Error::NoSource),
        },
        _ => Err(Error::NoSource),
    })
}
