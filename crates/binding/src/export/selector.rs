//! A selector as JavaScript has it: descriptors and masks. Keys, objects and what is read ahead are TypeScript's.

use fdwire_engine::{Error, Subject};
use fdwire_multiplexer::{Options, RegularFiles, Selector};
use napi::Result;
use napi::bindgen_prelude::Int32ArraySlice;
use napi_derive::napi;

use super::epoll::write_pairs;
use super::watch;
use crate::codes::duration;
use crate::environment;

/// How one descriptor is watched.
#[derive(Debug)]
#[napi(object, object_to_js = false)]
pub struct SelectorOptions {
    /// Report changes only.
    pub edge: bool,
    /// Report once.
    pub oneshot: bool,
    /// Wake one of several processes.
    pub exclusive: bool,
    /// Also report urgent data.
    pub priority: bool,
    /// Also report that the peer sends no more.
    pub rdhup: bool,
}

impl From<SelectorOptions> for Options {
    fn from(options: SelectorOptions) -> Options {
        let SelectorOptions {
            edge,
            oneshot,
            exclusive,
            priority,
            rdhup,
        } = options;
        Options {
            edge,
            oneshot,
            exclusive,
            priority,
            rdhup,
        }
    }
}

fn with_selector(
    id: u32,
    f: impl FnOnce(&mut Selector) -> std::result::Result<i32, fdwire_multiplexer::Error>,
) -> Result<i32> {
    environment::watch(id, |_, watch| match watch.subject() {
        Subject::Selector(selector) => Ok(f(selector)?),
        _ => Err(Error::NoSource),
    })
}

/// An empty selector: the number of its watch, or a negative code.
#[napi(catch_unwind)]
pub fn selector_open(realm: u32, regular_files_ready: bool) -> Result<i32> {
    let regular_files = if regular_files_ready {
        RegularFiles::AlwaysReady
    } else {
        RegularFiles::Refuse
    };
    watch::open(realm, || Ok(Subject::Selector(Box::new(Selector::new(regular_files)?))))
}

/// Watches a descriptor.
#[napi(catch_unwind)]
pub fn selector_register(id: u32, fd: i32, events: u32, options: SelectorOptions) -> Result<i32> {
    with_selector(id, |selector| selector.register(fd, events, options.into()).map(|()| 0))
}

/// Replaces what a descriptor is watched for.
#[napi(catch_unwind)]
pub fn selector_modify(id: u32, fd: i32, events: u32, options: SelectorOptions) -> Result<i32> {
    with_selector(id, |selector| selector.modify(fd, events, options.into()).map(|()| 0))
}

/// Forgets a descriptor, which may have been closed.
#[napi(catch_unwind)]
pub fn selector_unregister(id: u32, fd: i32) -> Result<i32> {
    with_selector(id, |selector| selector.unregister(fd).map(|()| 0))
}

/// Blocks until something is ready, or so many milliseconds are over. It is written into `events`, descriptor and events
/// each, which has room for all that is registered; returns how many.
#[napi(catch_unwind)]
pub fn selector_wait(id: u32, timeout: f64, mut events: Int32ArraySlice<'_>) -> Result<i32> {
    with_selector(id, |selector| {
        let ready = selector.wait(duration(timeout))?;
        // SAFETY: JavaScript, which owns the memory, runs on this thread only and is in this call.
        let events = unsafe { events.as_mut() };
        Ok(write_pairs(
            events,
            ready.iter().map(|&(fd, events)| (fd, events as i32)),
        ))
    })
}
