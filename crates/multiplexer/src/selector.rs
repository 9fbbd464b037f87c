use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;

use fdwire_system::{Deadline, Error};
use nix::errno::Errno;

mod backend;
mod epoll;
mod kqueue;
mod options;
mod registration;

use backend::Backend;
pub use options::{EVENT_PRIORITY, EVENT_RDHUP, EVENT_READ, EVENT_WRITE, Options, RegularFiles};
use registration::{File, Registration, failure};

/// Level-triggered readiness of a set of descriptors (`selectors.DefaultSelector`), over epoll or kqueue.
///
/// Each registration has a generation that comes back with its events, so that those of a descriptor which was closed,
/// but whose file lives on elsewhere (a child, a peer it was sent to), are not taken for those of its successor.
#[derive(Debug)]
pub struct Selector {
    backend: Backend,
    registrations: HashMap<RawFd, Registration>,
    /// Those of them that are always ready.
    files: BTreeSet<RawFd>,
    regular_files: RegularFiles,
    generation: u32,
}

impl Selector {
    /// An empty selector.
    pub fn new(regular_files: RegularFiles) -> Result<Self, Error> {
        Ok(Self {
            backend: Backend::open()?,
            registrations: HashMap::new(),
            files: BTreeSet::new(),
            regular_files,
            generation: 0,
        })
    }

    /// Watches `fd` for `events`, of [`EVENT_READ`] and [`EVENT_WRITE`], and what the options add; `EINVAL` if that is
    /// nothing or something else. `EEXIST` if it is watched, unless it was closed since: then this takes its place.
    pub fn register(&mut self, fd: RawFd, events: u32, options: Options) -> Result<(), Error> {
        self.generation = self.generation.wrapping_add(1);
        let mut registration = Registration::new(fd, self.generation, events, options)?;
        // The system, not our table, knows what is watched: it forgets what is closed.
        match self.backend.add(&registration) {
            Err(error) if error.errno() == Errno::EPERM && self.regular_files == RegularFiles::AlwaysReady => {
                let file = File::of(fd)?;
                if self.registrations.get(&fd).is_some_and(|old| old.file == Some(file)) {
                    return Err(failure(Errno::EEXIST));
                }
                registration.file = Some(file);
            }
            result => result?,
        }
        self.insert(registration);
        Ok(())
    }

    /// Replaces what `fd` is watched for, and arms it again. `ENOENT` if it is not watched. When the system refuses, it
    /// is not watched any more.
    pub fn modify(&mut self, fd: RawFd, events: u32, options: Options) -> Result<(), Error> {
        let old = self.registrations.get(&fd).ok_or(failure(Errno::ENOENT))?;
        let mut registration = Registration::new(fd, old.generation, events, options)?;
        registration.file = old.file;
        if old.file.is_none()
            && let Err(error) = self.backend.modify(old, &registration)
        {
            self.unregister(fd)?;
            return Err(error);
        }
        self.insert(registration);
        Ok(())
    }

    /// Forgets `fd`, which may have been closed. `ENOENT` if it is not watched.
    pub fn unregister(&mut self, fd: RawFd) -> Result<(), Error> {
        let registration = self.registrations.remove(&fd).ok_or(failure(Errno::ENOENT))?;
        if registration.file.is_none() {
            self.backend.remove(fd);
        }
        self.files.remove(&fd);
        Ok(())
    }

    fn insert(&mut self, registration: Registration) {
        if registration.file.is_some() {
            self.files.insert(registration.fd);
        } else {
            self.files.remove(&registration.fd);
        }
        self.registrations.insert(registration.fd, registration);
    }

    /// Waits until something is ready and returns (descriptor, events), each descriptor once, or nothing when the time
    /// is up. `None` waits for ever. Errors and hang-ups are reported as all of read and write that was asked for.
    ///
    /// May put a fresh epoll under the selector's descriptor, so watchers of that register it again before each wait of
    /// theirs, as [`Reactor::arm`](crate::Reactor::arm) does.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Vec<(RawFd, u32)>, Error> {
        let mut ready = self.take_always_ready();
        let deadline = Deadline::after(if ready.is_empty() {
            timeout
        } else {
            Some(Duration::ZERO)
        });
        loop {
            let mut stale = false;
            for event in self
                .backend
                .wait(deadline.remaining(), self.registrations.len().max(1))?
            {
                match self.registrations.get_mut(&event.fd) {
                    Some(registration) if registration.generation == event.generation => {
                        let events = registration.take(event.events);
                        if events != 0 {
                            ready.push((event.fd, events));
                        }
                        if events != 0 && !registration.armed {
                            self.backend.disarm(event.fd);
                        }
                    }
                    _ => stale = true,
                }
            }
            // What a stale registration reports, it would report for ever, and it has no name by which to remove it.
            let rebuilt = stale
                && self.backend.rebuild(self.registrations.values()).or_else(|error| {
                    // Used-up oneshot events would be lost with it, and the next wait finds the stale one again.
                    if ready.is_empty() { Err(error) } else { Ok(false) }
                })?;
            if !ready.is_empty() || (deadline.passed() && !rebuilt) {
                return Ok(ready);
            }
        }
    }

    /// Files that are always ready, unless they were closed since.
    fn take_always_ready(&mut self) -> Vec<(RawFd, u32)> {
        let mut ready = Vec::new();
        for fd in &self.files {
            let Some(registration) = self.registrations.get_mut(fd).filter(|registration| registration.armed) else {
                continue;
            };
            if File::of(*fd).ok() != registration.file {
                continue;
            }
            let events = registration.take(EVENT_READ | EVENT_WRITE);
            // Its state never changes again.
            registration.armed &= !registration.options.edge;
            if events != 0 {
                ready.push((*fd, events));
            }
        }
        ready
    }
}

impl AsFd for Selector {
    /// Readable while a descriptor is ready, files that are always so aside: ask [`wait`](Self::wait) first.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.backend.as_fd()
    }
}
