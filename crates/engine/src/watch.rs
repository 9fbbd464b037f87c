//! A descriptor whose readiness somebody waits for: a listener, a socket being connected, a selector.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fdwire_ancillary::{self as ancillary, Readiness};
use fdwire_multiplexer::{Epoll, Event, Interest as Direction, Kqueue, Notifier, Reactor, Selector, Token};

use crate::connection::Ready;
use crate::interest::{self, Interest, Watched};
use crate::listener::{Accepted, Listener};
use crate::memory::Memory;
use crate::outcome::{Error, Result};
use crate::shared::Shared;

/// What is watched.
#[derive(Debug)]
pub enum Subject {
    /// Any descriptor.
    Descriptor(OwnedFd),
    /// A listening socket.
    Listener(Box<Listener>),
    /// epoll(7).
    Epoll(Epoll),
    /// kqueue(2).
    Kqueue(Kqueue),
    /// What says when a set is to be polled again.
    Notifier(Notifier),
    /// A selector.
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

impl Watched for Subject {
    fn register(&self, reactor: Option<&Reactor>, token: Token, direction: Direction, again: bool) -> Result<()> {
        match reactor {
            // A set of descriptors may have replaced itself, and so have left the reactor.
            Some(reactor) if again => Ok(reactor.arm(self.as_fd(), token, direction)?),
            _ => interest::register(Some(self.as_fd()), reactor, token, direction, again),
        }
    }

    fn deregister(&self, reactor: Option<&Reactor>) {
        interest::deregister(Some(self.as_fd()), reactor);
    }
}

/// Of one subject.
#[derive(Debug)]
pub struct Watch {
    subject: Subject,
    interest: Interest,
}

impl Watch {
    /// Idle. `token` is what the reactor is to report it by.
    pub fn new(subject: Subject, token: Token) -> Watch {
        Watch {
            subject,
            interest: Interest::new(token),
        }
    }

    /// What is watched.
    pub fn subject(&mut self) -> &mut Subject {
        &mut self.subject
    }

    /// Asks for one report, also of what is ready already.
    ///
    /// # Errors
    ///
    /// The reactor's.
    pub fn arm<M: Memory>(&mut self, shared: &Shared<M>, direction: Direction) -> Result<()> {
        match &self.subject {
            // The edge is yet to come.
            Subject::Listener(listener) if self.interest.is_registered() && listener.is_drained() => {
                self.interest.await_armed(shared);
                Ok(())
            }
            subject => self.interest.arm(shared, subject, direction),
        }
    }

    /// Takes the request for a report back.
    pub fn disarm<M: Memory>(&mut self, shared: &Shared<M>) {
        self.interest.forget_read(shared);
    }

    /// The watch keeps the process alive as long as it is open.
    pub fn hold<M: Memory>(&mut self, shared: &Shared<M>) {
        self.interest.hold(shared);
    }

    /// Whether an armed watch keeps the process alive.
    pub fn reference<M: Memory>(&mut self, shared: &Shared<M>, referenced: bool) {
        self.interest.reference(shared, referenced);
    }

    /// Blocks until the descriptor is ready in one of the directions: false when the time is over.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn wait(&mut self, directions: Readiness, timeout: Option<Duration>) -> Result<bool> {
        let ready = ancillary::poll(self.subject.as_fd(), directions, timeout)?;
        if !ready.readable && !ready.writable {
            return Ok(false);
        }
        if let Subject::Listener(listener) = &mut self.subject {
            listener.ready();
        }
        Ok(true)
    }

    /// Takes the next connection of the kernel's queue, or says that it would block; with `report` also where this turn had
    /// its share, and the next one will be reported.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn accept<M: Memory>(&mut self, shared: &Shared<M>, report: bool) -> Result<Accepted> {
        let Subject::Listener(listener) = &mut self.subject else {
            return Err(Error::NoSource);
        };
        let turn = shared.turn.get();
        if report && listener.is_exhausted(turn) {
            self.interest.await_turn(shared, Direction::Read);
            return Err(Error::WouldBlock);
        }
        match listener.accept(turn) {
            Err(error) if error.would_block() => {
                if report {
                    self.arm(shared, Direction::Read)?;
                }
                Err(Error::WouldBlock)
            }
            accepted => accepted,
        }
    }

    /// Notes what the reactor saw; returns what somebody is to hear.
    pub fn ready<M: Memory>(&mut self, shared: &Shared<M>, event: Event) -> Ready {
        if let Subject::Listener(listener) = &mut self.subject {
            listener.ready();
        }
        if !self.interest.reported(shared) {
            return Ready::default();
        }
        Ready {
            readable: event.readable,
            writable: event.writable,
            gone: false,
        }
    }

    /// Leaves the reactor.
    pub fn into_subject<M: Memory>(mut self, shared: &Shared<M>) -> Subject {
        self.interest.stop(shared, &self.subject);
        self.subject
    }
}
