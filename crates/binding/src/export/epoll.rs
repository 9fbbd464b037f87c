//! `epoll(7)` as JavaScript has it.

use std::collections::BTreeMap;

use fdwire_engine::{Error, Subject};
use fdwire_multiplexer::{EPOLL_CONSTANTS, Epoll, KQUEUE_CONSTANTS, POLL_CONSTANTS};
use napi::Result;
use napi::bindgen_prelude::Int32ArraySlice;
use napi_derive::napi;

use super::watch;
use crate::codes::duration;
use crate::environment;

fn with_epoll(id: u32, f: impl FnOnce(&Epoll) -> std::result::Result<i32, fdwire_multiplexer::Error>) -> Result<i32> {
    environment::watch(id, |_, watch| match watch.subject() {
        Subject::Epoll(epoll) => Ok(f(epoll)?),
        _ => Err(Error::NoSource),
    })
}

/// A new instance: the number of its watch, or a negative code.
#[napi(catch_unwind)]
pub fn epoll_open(realm: u32) -> Result<i32> {
    watch::open(realm, || Ok(Subject::Epoll(Epoll::new()?)))
}

/// The same of a descriptor that JavaScript holds.
#[napi(catch_unwind)]
pub fn epoll_adopt(realm: u32, fd: i32) -> Result<i32> {
    watch::adopt(realm, fd, Epoll::new().map(drop), |fd| {
        Epoll::from_fd(fd).map(Subject::Epoll)
    })
}

/// Watches a descriptor.
#[napi(catch_unwind)]
pub fn epoll_register(id: u32, fd: i32, mask: u32) -> Result<i32> {
    with_epoll(id, |epoll| epoll.register(fd, mask).map(|()| 0))
}

/// Replaces the mask of a descriptor.
#[napi(catch_unwind)]
pub fn epoll_modify(id: u32, fd: i32, mask: u32) -> Result<i32> {
    with_epoll(id, |epoll| epoll.modify(fd, mask).map(|()| 0))
}

/// Forgets a descriptor.
#[napi(catch_unwind)]
pub fn epoll_unregister(id: u32, fd: i32) -> Result<i32> {
    with_epoll(id, |epoll| epoll.unregister(fd).map(|()| 0))
}

/// Blocks until there are events, or so many milliseconds are over. They are written into `events`, descriptor and mask
/// each, as many as fit; returns how many.
#[napi(catch_unwind)]
pub fn epoll_wait(id: u32, timeout: f64, mut events: Int32ArraySlice<'_>) -> Result<i32> {
    with_epoll(id, |epoll| {
        // SAFETY: JavaScript, which owns the memory, runs on this thread only and is in this call.
        let events = unsafe { events.as_mut() };
        let ready = epoll.poll(duration(timeout), events.len() / 2)?;
        Ok(write_pairs(events, ready.iter().map(|&(fd, mask)| (fd, mask as i32))))
    })
}

/// Writes (descriptor, mask) pairs for JavaScript, which made room for all; returns how many.
pub(crate) fn write_pairs(words: &mut [i32], pairs: impl Iterator<Item = (i32, i32)>) -> i32 {
    let mut count = 0;
    for (words, (fd, mask)) in words.chunks_exact_mut(2).zip(pairs) {
        words[0] = fd;
        words[1] = mask;
        count += 1;
    }
    count
}

/// The masks, filters and flags of epoll, poll and kqueue by their names.
#[napi(catch_unwind)]
pub fn readiness_constants() -> BTreeMap<&'static str, f64> {
    let epoll = EPOLL_CONSTANTS.iter().map(|&(name, value)| (name, f64::from(value)));
    let poll = POLL_CONSTANTS.iter().map(|&(name, value)| (name, f64::from(value)));
    let kqueue = KQUEUE_CONSTANTS.iter().map(|&(name, value)| (name, value as f64));
    epoll.chain(poll).chain(kqueue).collect()
}
