//! What one JavaScript environment owns: reactor, sources, descriptors. There is one per thread.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use fdwire_ancillary::ControlBuffer;
use fdwire_multiplexer::{Event, REVOCABLE, Reactor, Token};
use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, Result, Status};
use napi_derive::napi;
use slab::Slab;

use crate::connection::Connection;
use crate::driver::{Driver, Hooks};
use crate::napi::guard;
use crate::napi::realm::Realm;
use crate::watch::Watch;

/// The read buffer that all connections share: an idle one holds none.
const SCRATCH_LENGTH: usize = 64 * 1024;
/// So many rounds may pass without asking the reactor.
const ROUNDS_UNASKED: u32 = 8;

thread_local! {
    static ENVIRONMENT: RefCell<Option<Rc<Environment>>> = const { RefCell::new(None) };
}

/// Boxed: a place in the table is as large as the largest.
pub(crate) enum Source {
    Connection(Box<Connection>),
    Watch(Box<Watch>),
}

/// A source with what the environment knows of it.
pub(crate) struct Entry {
    pub(crate) source: Source,
    pub(crate) realm: Rc<Realm>,
    pub(crate) token: Token,
}

/// What sources use while one of them is borrowed.
pub(crate) struct Shared {
    pub(crate) reactor: RefCell<Reactor>,
    pub(crate) driver: RefCell<Option<Driver>>,
    /// Those that JavaScript knows, each at its number: the lowest free one is what a new descriptor gets.
    descriptors: RefCell<Vec<Option<OwnedFd>>>,
    pub(crate) scratch: RefCell<Box<[u8]>>,
    pub(crate) control: RefCell<ControlBuffer>,
    /// The system call that failed last, for the error JavaScript builds.
    pub(crate) syscall: Cell<&'static str>,
    /// Counts the rounds of the event loop: fairness budgets are per turn.
    pub(crate) turn: Cell<u64>,
    /// The source that alone was ready twice in succession. In a dialogue it is the next one too, and asking costs a
    /// system call.
    pub(crate) expected: Cell<Option<Token>>,
    active: Cell<usize>,
}

impl Shared {
    /// Counts the sources that have something pending: while there is one, the process stays alive.
    pub(crate) fn activate(&self, active: bool) {
        let count = if active {
            self.active.get() + 1
        } else {
            self.active.get() - 1
        };
        self.active.set(count);
        if count == usize::from(active)
            && let Some(driver) = self.driver.borrow().as_ref()
        {
            driver.keep_alive(active);
        }
    }

    pub(crate) fn fail(&self, error: &fdwire_ancillary::Error) -> i32 {
        self.syscall.set(error.syscall());
        crate::codes::errno(error)
    }

    pub(crate) fn fail_multiplexer(&self, error: &fdwire_multiplexer::Error) -> i32 {
        if let fdwire_multiplexer::Error::Unsupported(feature) = error {
            self.syscall.set(feature);
            return crate::codes::UNSUPPORTED;
        }
        self.syscall.set(error.syscall());
        -(error.errno() as i32)
    }

    /// Keeps a descriptor on behalf of JavaScript, which knows it by its number.
    pub(crate) fn hand_out(&self, fd: OwnedFd) -> RawFd {
        let number = fd.as_raw_fd();
        let mut descriptors = self.descriptors.borrow_mut();
        let index = number as usize;
        if index >= descriptors.len() {
            descriptors.resize_with(index + 1, || None);
        }
        if let Some(stale) = descriptors[index].replace(fd) {
            // The number was closed behind our back, or it could not have been given out again: the new owner keeps it.
            std::mem::forget(stale);
        }
        number
    }

    pub(crate) fn take_back(&self, number: RawFd) -> Option<OwnedFd> {
        let index = usize::try_from(number).ok()?;
        self.descriptors.borrow_mut().get_mut(index)?.take()
    }
}

pub(crate) struct Environment {
    pub(crate) shared: Shared,
    pub(crate) sources: RefCell<Slab<Entry>>,
    pub(crate) realms: RefCell<Vec<Rc<Realm>>>,
    events: RefCell<Vec<Event>>,
    rounds_unasked: Cell<u32>,
    /// The source that alone was ready when the reactor was asked last.
    alone: Cell<Option<Token>>,
    generation: Cell<usize>,
}

/// Calls `f` with this thread's environment.
pub(crate) fn with<R>(f: impl FnOnce(&Environment) -> R) -> Result<R> {
    ENVIRONMENT.with(|environment| match environment.borrow().as_ref() {
        Some(environment) => Ok(f(environment)),
        None => Err(napi::Error::new(
            Status::GenericFailure,
            "fdwire is not started on this thread".to_owned(),
        )),
    })
}

impl Environment {
    fn new() -> Result<Environment> {
        let reactor = Reactor::new().map_err(|error| napi::Error::new(Status::GenericFailure, error.to_string()))?;
        Ok(Environment {
            shared: Shared {
                reactor: RefCell::new(reactor),
                driver: RefCell::new(None),
                descriptors: RefCell::default(),
                scratch: RefCell::new(vec![0; SCRATCH_LENGTH].into_boxed_slice()),
                control: RefCell::new(ControlBuffer::new()),
                syscall: Cell::new(""),
                turn: Cell::new(0),
                expected: Cell::new(None),
                active: Cell::new(0),
            },
            sources: RefCell::default(),
            realms: RefCell::default(),
            events: RefCell::default(),
            rounds_unasked: Cell::new(0),
            alone: Cell::new(None),
            generation: Cell::new(0),
        })
    }

    pub(crate) fn realm(&self, index: u32) -> Result<Rc<Realm>> {
        let realm = self.realms.borrow().get(index as usize).cloned();
        realm.ok_or_else(|| napi::Error::new(Status::InvalidArg, "no such realm".to_owned()))
    }

    /// Adds a source; its token tells events of an earlier source of the same number apart.
    pub(crate) fn insert(&self, realm: Rc<Realm>, make: impl FnOnce(Token) -> Source) -> u32 {
        let mut sources = self.sources.borrow_mut();
        let slot = sources.vacant_entry();
        let id = slot.key();
        self.generation.set(self.generation.get().wrapping_add(1));
        let token = Token(self.generation.get() << 32 | id);
        slot.insert(Entry {
            source: make(token),
            realm,
            token,
        });
        id as u32
    }

    pub(crate) fn remove(&self, id: u32) -> Option<Entry> {
        self.sources.borrow_mut().try_remove(id as usize)
    }

    /// The event that this round is taken to be for, unless the reactor has to be asked.
    fn expected(&self) -> Option<Event> {
        let token = self.shared.expected.get()?;
        let unasked = self.rounds_unasked.replace(self.rounds_unasked.get() + 1);
        let sources = self.sources.borrow();
        let entry = sources
            .get(token.0 & 0xffff_ffff)
            .filter(|entry| entry.token == token)?;
        let Source::Connection(connection) = &entry.source else {
            return None;
        };
        if unasked >= ROUNDS_UNASKED || self.shared.reactor.borrow().has_resumed() {
            return None;
        }
        connection.expected()
    }

    fn ask(&self, events: &mut Vec<Event>) {
        // A failing wait leaves the events empty; the next wake-up tries again.
        let _ = self.shared.reactor.borrow_mut().poll(events);
        self.rounds_unasked.set(0);
        let alone = match events.as_slice() {
            [event] if REVOCABLE => Some(event.token),
            _ => None,
        };
        let again = self.alone.replace(alone) == alone;
        self.shared.expected.set(alone.filter(|_| again));
    }

    /// One round: asks the reactor what is ready, lets the sources do what needs no JavaScript, and tells the rest.
    pub(crate) fn turn(&self) {
        self.shared.turn.set(self.shared.turn.get() + 1);
        let mut events = self.events.take();
        match self.expected() {
            Some(event) => events.push(event),
            None => self.ask(&mut events),
        }
        for event in events.drain(..) {
            let id = event.token.0 & 0xffff_ffff;
            let mut sources = self.sources.borrow_mut();
            let Some(entry) = sources.get_mut(id).filter(|entry| entry.token == event.token) else {
                continue;
            };
            let flags = match &mut entry.source {
                Source::Connection(connection) => connection.ready(&self.shared, event),
                Source::Watch(watch) => watch.ready(&self.shared, event),
            };
            if flags != 0 {
                entry.realm.note((id as u32, flags));
            }
        }
        self.events.replace(events);
        let mut index = 0;
        while let Some(realm) = { self.realms.borrow().get(index).cloned() } {
            realm.notify();
            index += 1;
        }
    }
}

/// A hook of the driver: called when the reactor's descriptor is readable. What a turn panics with is an
/// uncaughtException.
fn turn() {
    let environment = ENVIRONMENT.with(|environment| environment.borrow().clone());
    if let Some(environment) = environment {
        let env = environment.realms.borrow().first().map(|realm| realm.env());
        if let Some(env) = env {
            // SAFETY: on the JavaScript thread, whose environment closes this one before it goes.
            unsafe { guard::uncaught(env, || environment.turn()) };
        }
    }
}

/// A hook of the driver. Forgets this thread's environment: every source and descriptor is closed.
fn shut_down() {
    let close = || {
        let environment = ENVIRONMENT.with(|environment| environment.borrow_mut().take());
        if let Some(environment) = environment {
            for realm in environment.realms.take() {
                realm.close();
            }
            drop(environment.sources.take());
        }
    };
    // The thread ends; there is nobody left to tell of a panic, which was printed.
    let _ = catch_unwind(AssertUnwindSafe(close));
}

/// Joins this thread's environment, making it first where there is none. `driver` is `uv` or `thread`.
#[napi]
pub fn start(
    env: Env,
    driver: String,
    dispatch: Function<'_, u32, ()>,
    #[napi(ts_arg_type = "Float64Array")] report: Unknown<'_>,
    #[napi(ts_arg_type = "Int32Array")] descriptors: Unknown<'_>,
    #[napi(ts_arg_type = "Uint32Array")] events: Unknown<'_>,
) -> Result<u32> {
    let known = ENVIRONMENT.with(|environment| environment.borrow().clone());
    let environment = match known {
        Some(environment) => environment,
        None => {
            let environment = Rc::new(Environment::new()?);
            let fd = environment.shared.reactor.borrow().as_fd().as_raw_fd();
            let hooks = Hooks { turn, close: shut_down };
            let driver = Driver::start(&env, &driver, fd, hooks)?;
            environment.shared.driver.replace(Some(driver));
            ENVIRONMENT.with(|slot| slot.replace(Some(environment.clone())));
            environment
        }
    };
    let realm = Rc::new(Realm::new(&env, dispatch, report, descriptors, events)?);
    if environment
        .realms
        .borrow()
        .first()
        .is_some_and(|first| first.env() != realm.env())
    {
        return Err(napi::Error::new(
            Status::GenericFailure,
            "another environment runs on this thread".to_owned(),
        ));
    }
    let mut realms = environment.realms.borrow_mut();
    realms.push(realm);
    Ok(realms.len() as u32 - 1)
}

/// The name of the system call that failed last.
#[napi]
pub fn failed_syscall() -> Result<&'static str> {
    with(|environment| environment.shared.syscall.get())
}
