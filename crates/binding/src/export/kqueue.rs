//! `kqueue(2)` as JavaScript has it: an event is six numbers, as `KEvent` becomes them.

use fdwire_engine::{Error, Subject};
use fdwire_multiplexer::{KEvent, Kqueue};
use napi::Result;
use napi::bindgen_prelude::Float64ArraySlice;
use napi_derive::napi;

use super::watch;
use crate::codes::duration;
use crate::environment;

/// How many numbers an event is.
#[napi]
pub const KEVENT_WORDS: u32 = WORDS as u32;
const WORDS: usize = 6;

/// A new queue: the number of its watch, or a negative code.
#[napi(catch_unwind)]
pub fn kqueue_open(realm: u32) -> Result<i32> {
    watch::open(realm, || Ok(Subject::Kqueue(Kqueue::new()?)))
}

/// The same of a descriptor that JavaScript holds.
#[napi(catch_unwind)]
pub fn kqueue_adopt(realm: u32, fd: i32) -> Result<i32> {
    watch::adopt(realm, fd, Kqueue::new().map(drop), |fd| {
        Kqueue::from_fd(fd).map(Subject::Kqueue)
    })
}

/// Applies the changes, then blocks until there are events, or so many milliseconds are over. They are written into
/// `events`, as many as fit; returns how many.
#[napi(catch_unwind)]
pub fn kqueue_control(
    id: u32,
    changes: Float64ArraySlice<'_>,
    timeout: f64,
    mut events: Float64ArraySlice<'_>,
) -> Result<i32> {
    environment::watch(id, |_, watch| {
        let Subject::Kqueue(kqueue) = watch.subject() else {
            return Err(Error::NoSource);
        };
        let (changes, _) = changes.as_ref().as_chunks::<WORDS>();
        let changes: Vec<KEvent> = changes.iter().copied().map(KEvent::from).collect();
        // SAFETY: JavaScript, which owns the memory, runs on this thread only and is in this call.
        let events = unsafe { events.as_mut() };
        let ready = kqueue.control(&changes, events.len() / WORDS, duration(timeout))?;
        let (words, _) = events.as_chunks_mut::<WORDS>();
        for (words, event) in words.iter_mut().zip(&ready) {
            *words = (*event).into();
        }
        Ok(ready.len() as i32)
    })
}
