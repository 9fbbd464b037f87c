//! The sources of a thread by their numbers, and the turn that tells what became of them.

use std::cell::{Cell, RefCell};

use fdwire_multiplexer::{Event, REVOCABLE, Token};
use slab::Slab;

use crate::connection::{Connection, Ready};
use crate::memory::Memory;
use crate::outcome::{Error, Result};
use crate::shared::Shared;
use crate::transport::Wire;
use crate::watch::Watch;

/// So many rounds may pass without asking the reactor.
const ROUNDS_UNASKED: u32 = 8;
/// The part of a token that is the source's number; the rest is its generation.
const NUMBER: usize = 0xffff_ffff;

/// Boxed: a place in the table is as large as the largest.
#[derive(Debug)]
pub enum Source<M: Memory> {
    /// A connection.
    Connection(Box<Connection<Wire, M>>),
    /// Anything else that is waited for.
    Watch(Box<Watch>),
}

#[derive(Debug)]
struct Entry<M: Memory, O> {
    source: Source<M>,
    owner: O,
    token: Token,
}

/// Something that an owner of a source is to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice<O> {
    /// Whose it is.
    pub owner: O,
    /// The source's number.
    pub source: u32,
    /// What there is.
    pub ready: Ready,
}

/// Every source of a thread, each with its owner `O`.
#[derive(Debug)]
pub struct Table<M: Memory, O> {
    /// What the sources share.
    pub shared: Shared<M>,
    sources: RefCell<Slab<Entry<M, O>>>,
    events: RefCell<Vec<Event>>,
    rounds_unasked: Cell<u32>,
    /// The source that alone was ready when the reactor was asked last.
    alone: Cell<Option<Token>>,
    generation: Cell<usize>,
}

impl<M: Memory, O: Clone> Table<M, O> {
    /// Empty, with a reactor.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new() -> Result<Table<M, O>> {
        Ok(Table {
            shared: Shared::new()?,
            sources: RefCell::default(),
            events: RefCell::default(),
            rounds_unasked: Cell::new(0),
            alone: Cell::new(None),
            generation: Cell::new(0),
        })
    }

    /// Adds a source; its token tells events of an earlier source of the same number apart.
    pub fn insert(&self, owner: O, make: impl FnOnce(Token) -> Source<M>) -> u32 {
        let mut sources = self.sources.borrow_mut();
        let slot = sources.vacant_entry();
        let number = slot.key();
        self.generation.set(self.generation.get().wrapping_add(1));
        let token = Token(self.generation.get() << 32 | number);
        slot.insert(Entry {
            source: make(token),
            owner,
            token,
        });
        number as u32
    }

    /// Takes a source out.
    pub fn remove(&self, number: u32) -> Option<Source<M>> {
        let entry = self.sources.borrow_mut().try_remove(number as usize)?;
        Some(entry.source)
    }

    /// Drops every source.
    pub fn clear(&self) {
        drop(self.sources.take());
    }

    /// Calls `f` with a connection and its owner.
    ///
    /// # Errors
    ///
    /// That there is none of this number.
    pub fn connection<R>(
        &self,
        number: u32,
        f: impl FnOnce(&Shared<M>, &O, &mut Connection<Wire, M>) -> R,
    ) -> Result<R> {
        match self.sources.borrow_mut().get_mut(number as usize) {
            Some(Entry {
                source: Source::Connection(connection),
                owner,
                ..
            }) => Ok(f(&self.shared, owner, connection)),
            _ => Err(Error::NoSource),
        }
    }

    /// Calls `f` with a watch and its owner.
    ///
    /// # Errors
    ///
    /// That there is none of this number.
    pub fn watch<R>(&self, number: u32, f: impl FnOnce(&Shared<M>, &O, &mut Watch) -> R) -> Result<R> {
        match self.sources.borrow_mut().get_mut(number as usize) {
            Some(Entry {
                source: Source::Watch(watch),
                owner,
                ..
            }) => Ok(f(&self.shared, owner, watch)),
            _ => Err(Error::NoSource),
        }
    }

    /// One round: asks the reactor what is ready, lets the sources do what needs nobody, and calls `tell` with the rest.
    pub fn turn(&self, mut tell: impl FnMut(Notice<O>)) {
        self.shared.turn.set(self.shared.turn.get() + 1);
        let mut events = self.events.take();
        match self.expected() {
            Some(event) => events.push(event),
            None => self.ask(&mut events),
        }
        for event in events.drain(..) {
            let number = event.token.0 & NUMBER;
            let mut sources = self.sources.borrow_mut();
            let Some(entry) = sources.get_mut(number).filter(|entry| entry.token == event.token) else {
                continue;
            };
            let ready = match &mut entry.source {
                Source::Connection(connection) => connection.ready(&self.shared, event),
                Source::Watch(watch) => watch.ready(&self.shared, event),
            };
            if ready != Ready::default() {
                tell(Notice {
                    owner: entry.owner.clone(),
                    source: number as u32,
                    ready,
                });
            }
        }
        self.events.replace(events);
    }

    /// The event that this round is taken to be for, unless the reactor has to be asked.
    fn expected(&self) -> Option<Event> {
        let token = self.shared.expected.get()?;
        let unasked = self.rounds_unasked.replace(self.rounds_unasked.get() + 1);
        let sources = self.sources.borrow();
        let entry = sources.get(token.0 & NUMBER).filter(|entry| entry.token == token)?;
        let Source::Connection(connection) = &entry.source else {
            return None;
        };
        let has_resumed = self
            .shared
            .reactor()
            .is_some_and(|reactor| reactor.borrow().has_resumed());
        if unasked >= ROUNDS_UNASKED || has_resumed {
            return None;
        }
        connection.expected_event()
    }

    fn ask(&self, events: &mut Vec<Event>) {
        if let Some(reactor) = self.shared.reactor() {
            // A failing wait leaves the events empty; the next wake-up tries again.
            let _ = reactor.borrow_mut().poll(events);
        }
        self.rounds_unasked.set(0);
        let alone = match events.as_slice() {
            [event] if REVOCABLE => Some(event.token),
            _ => None,
        };
        let again = self.alone.replace(alone) == alone;
        self.shared.expected.set(alone.filter(|_| again));
    }
}
