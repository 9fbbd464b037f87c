//! `poll(2)` and `select()` as JavaScript has them. The set is JavaScript's, (descriptor, mask) pairs; what is awaited
//! here is a notifier that says when to ask again.

use fdwire_engine::{Error, Subject};
use fdwire_multiplexer::{Notifier, Poll, select};
use napi::Result;
use napi::bindgen_prelude::Int32ArraySlice;
use napi_derive::napi;

use super::epoll::write_pairs;
use super::watch;
use crate::codes::duration;
use crate::environment::{self, answering};

/// Bytes that a write to a writable pipe takes whole.
#[napi]
pub const PIPE_BUF: u32 = fdwire_multiplexer::PIPE_BUF as u32;

fn pairs(words: &[i32]) -> impl Iterator<Item = (i32, i16)> {
    words.chunks_exact(2).map(|pair| (pair[0], pair[1] as i16))
}

/// Blocks until something of the set is ready, or so many milliseconds are over. It is written into `events`, which has
/// room for all; returns how many.
#[napi(catch_unwind)]
pub fn poll_wait(set: Int32ArraySlice<'_>, timeout: f64, mut events: Int32ArraySlice<'_>) -> Result<i32> {
    answering(|_| {
        let mut poll = Poll::new();
        pairs(set.as_ref()).try_for_each(|(fd, mask)| poll.register(fd, mask))?;
        let ready = poll.poll(duration(timeout))?;
        // SAFETY: JavaScript, which owns the memory, runs on this thread only and is in this call.
        let events = unsafe { events.as_mut() };
        let pairs = ready.into_iter().map(|(fd, mask)| (fd, i32::from(mask as u16)));
        Ok(write_pairs(events, pairs))
    })
}

/// Blocks until a descriptor is ready, or so many milliseconds are over. `fds` are those to read, of which there are
/// `readers`, those to write, of which there are `writers`, and the rest; `ready` gets a 1 or 0 for each.
#[napi(catch_unwind)]
pub fn select_wait(
    fds: Int32ArraySlice<'_>,
    readers: u32,
    writers: u32,
    timeout: f64,
    mut ready: Int32ArraySlice<'_>,
) -> Result<i32> {
    answering(|_| {
        let (read, rest) = fds.as_ref().split_at(fds.len().min(readers as usize));
        let (write, except) = rest.split_at(rest.len().min(writers as usize));
        let selected = select(read, write, except, duration(timeout))?;
        // SAFETY: JavaScript, which owns the memory, runs on this thread only and is in this call.
        let ready = unsafe { ready.as_mut() };
        ready.fill(0);
        let write = selected.write.iter().map(|position| position + read.len());
        let except = selected
            .except
            .iter()
            .map(|position| position + fds.len() - except.len());
        let mut count = 0;
        for position in selected.read.iter().copied().chain(write).chain(except) {
            if let Some(flag) = ready.get_mut(position) {
                *flag = 1;
                count += 1;
            }
        }
        Ok(count)
    })
}

fn with_notifier(
    id: u32,
    f: impl FnOnce(&Notifier) -> std::result::Result<(), fdwire_multiplexer::Error>,
) -> Result<i32> {
    environment::watch(id, |_, watch| match watch.subject() {
        Subject::Notifier(notifier) => {
            f(notifier)?;
            Ok(0)
        }
        _ => Err(Error::NoSource),
    })
}

/// A notifier of a set: the number of its watch, or a negative code.
#[napi(catch_unwind)]
pub fn notifier_open(realm: u32, set: Int32ArraySlice<'_>) -> Result<i32> {
    watch::open(realm, || {
        let notifier = Notifier::new()?;
        pairs(set.as_ref()).try_for_each(|(fd, mask)| notifier.set(fd, mask))?;
        Ok(Subject::Notifier(notifier))
    })
}

/// Adds a descriptor, or replaces its mask.
#[napi(catch_unwind)]
pub fn notifier_set(id: u32, fd: i32, mask: i32) -> Result<i32> {
    with_notifier(id, |notifier| notifier.set(fd, mask as i16))
}

/// Removes a descriptor.
#[napi(catch_unwind)]
pub fn notifier_remove(id: u32, fd: i32) -> Result<i32> {
    with_notifier(id, |notifier| {
        notifier.remove(fd);
        Ok(())
    })
}

/// To be called when it was reported, before the set is asked again.
#[napi(catch_unwind)]
pub fn notifier_clear(id: u32) -> Result<i32> {
    with_notifier(id, Notifier::clear)
}
