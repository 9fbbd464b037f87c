//! What all sources of a thread use while one of them is borrowed.

use std::cell::{Cell, RefCell};
use std::fmt;

use fdwire_ancillary::ControlBuffer;
use fdwire_multiplexer::{Reactor, Token};

use crate::descriptors::Descriptors;
use crate::memory::Memory;
use crate::outcome::Result;
use crate::settings::SCRATCH;

type KeepAlive = Box<dyn Fn(bool)>;

/// One per thread.
pub struct Shared<M> {
    /// None in tests without system calls.
    reactor: Option<RefCell<Reactor>>,
    /// Those handed to JavaScript.
    pub descriptors: Descriptors,
    pub(crate) scratch: RefCell<Box<[u8]>>,
    pub(crate) control: RefCell<ControlBuffer>,
    /// Counts the rounds of the event loop: fairness budgets are per turn.
    pub(crate) turn: Cell<u64>,
    /// The source that alone was ready twice in succession. In a dialogue it is the next one too, and asking costs a
    /// system call.
    pub(crate) expected: Cell<Option<Token>>,
    /// Memory that was asked for and not needed.
    spare: Cell<Option<(usize, M)>>,
    active: Cell<usize>,
    keep_alive: Cell<Option<KeepAlive>>,
}

impl<M: Memory> Shared<M> {
    /// With a reactor of its own.
    pub fn new() -> Result<Shared<M>> {
        Ok(Shared {
            reactor: Some(RefCell::new(Reactor::new()?)),
            ..Shared::without_reactor()
        })
    }

    /// For transports that have no descriptor: nothing is ever reported by itself.
    pub fn without_reactor() -> Shared<M> {
        Shared {
            reactor: None,
            descriptors: Descriptors::default(),
            scratch: RefCell::new(vec![0; SCRATCH].into_boxed_slice()),
            control: RefCell::new(ControlBuffer::new()),
            turn: Cell::new(0),
            expected: Cell::new(None),
            spare: Cell::new(None),
            active: Cell::new(0),
            keep_alive: Cell::new(None),
        }
    }

    /// The reactor, whose descriptor is readable when there is something to do.
    pub fn reactor(&self) -> Option<&RefCell<Reactor>> {
        self.reactor.as_ref()
    }

    /// `hook` is told when the process must go on for the sake of something pending, and when no longer.
    pub fn on_keep_alive(&self, hook: impl Fn(bool) + 'static) {
        self.keep_alive.set(Some(Box::new(hook)));
    }

    /// How many sources have something pending: while there is one, the process stays alive.
    pub fn active(&self) -> usize {
        self.active.get()
    }

    pub(crate) fn activate(&self, active: bool) {
        let count = if active {
            self.active.get() + 1
        } else {
            self.active.get() - 1
        };
        self.active.set(count);
        if count == usize::from(active)
            && let Some(hook) = self.keep_alive.take()
        {
            hook(active);
            self.keep_alive.set(Some(hook));
        }
    }

    /// Has a source reported in the next turn, whatever the system says.
    pub(crate) fn resume(&self, token: Token) {
        if let Some(reactor) = &self.reactor {
            reactor.borrow_mut().resume(token);
        }
    }

    /// Keeps memory for who needs as much next; it replaces what was kept.
    pub(crate) fn keep_spare(&self, memory: Option<M>) {
        let sized = memory.and_then(|mut memory| Some((memory.region()?.len(), memory)));
        if sized.is_some() {
            self.spare.set(sized);
        }
    }

    /// Spare memory of this length.
    pub(crate) fn take_spare(&self, length: usize) -> Option<M> {
        match self.spare.take() {
            Some((size, memory)) if size == length => Some(memory),
            other => {
                self.spare.set(other);
                None
            }
        }
    }
}

impl<M> fmt::Debug for Shared<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("turn", &self.turn)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}
