//! What one JavaScript environment owns: the engine's table, and the loaded copies of the JavaScript layer. There is one
//! per thread.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use fdwire_engine::{Error, Table, Watch, Wire};
use fdwire_system::interrupt::install;
use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, Result, Status};
use napi_derive::napi;

use crate::codes::{GONE, READABLE, WRITABLE, answer};
use crate::driver::{self, Driver, Hooks};
use crate::napi::guard;
use crate::napi::held_buffer::HeldBuffer;
use crate::napi::realm::Realm;

pub(crate) type Shared = fdwire_engine::Shared<HeldBuffer>;
pub(crate) type Source = fdwire_engine::Source<HeldBuffer>;
pub(crate) type Connection = fdwire_engine::Connection<Wire, HeldBuffer>;

thread_local! {
    static ENVIRONMENT: Slot = const { Slot(RefCell::new(None)) };
}

/// A thread's environment. A process that exits in the middle of a turn ends with that turn's hold of it: what is open is
/// closed here, as socket files would stay otherwise.
struct Slot(RefCell<Option<Rc<Environment>>>);

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(environment) = self.0.take() {
            let _ = catch_unwind(AssertUnwindSafe(|| environment.table.clear()));
        }
    }
}

pub(crate) struct Environment {
    pub(crate) table: Table<HeldBuffer, Rc<Realm>>,
    realms: RefCell<Vec<Rc<Realm>>>,
}

/// Calls `f` with this thread's environment.
pub(crate) fn with<R>(f: impl FnOnce(&Environment) -> R) -> Result<R> {
    ENVIRONMENT.with(|slot| match slot.0.borrow().as_ref() {
        Some(environment) => Ok(f(environment)),
        None => Err(failure("fdwire is not started on this thread")),
    })
}

/// The result of `f`, or the code of its error.
pub(crate) fn answering(f: impl FnOnce(&Environment) -> fdwire_engine::Result<i32>) -> Result<i32> {
    with(|environment| answer(f(environment)))
}

/// The same with a connection.
pub(crate) fn connection(
    id: u32,
    f: impl FnOnce(&Shared, &Realm, &mut Connection) -> fdwire_engine::Result<i32>,
) -> Result<i32> {
    answering(|environment| {
        environment
            .table
            .connection(id, |shared, realm, connection| f(shared, realm, connection))?
    })
}

/// The same with a watch.
pub(crate) fn watch(id: u32, f: impl FnOnce(&Shared, &mut Watch) -> fdwire_engine::Result<i32>) -> Result<i32> {
    answering(|environment| environment.table.watch(id, |shared, _, watch| f(shared, watch))?)
}

fn failure(reason: &str) -> napi::Error {
    napi::Error::new(Status::GenericFailure, reason.to_owned())
}

impl Environment {
    pub(crate) fn shared(&self) -> &Shared {
        &self.table.shared
    }

    pub(crate) fn realm(&self, index: u32) -> fdwire_engine::Result<Rc<Realm>> {
        self.realms.borrow().get(index as usize).cloned().ok_or(Error::NoSource)
    }

    /// One round: what the engine has to tell goes to the copies that it is for.
    fn turn(&self) {
        self.table.turn(|notice| {
            let readable = u32::from(notice.ready.readable) * READABLE;
            let writable = u32::from(notice.ready.writable) * WRITABLE;
            let gone = u32::from(notice.ready.gone) * GONE;
            notice.owner.note((notice.source, readable | writable | gone));
        });
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
    let environment = ENVIRONMENT.with(|slot| slot.0.borrow().clone());
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
        let environment = ENVIRONMENT.with(|slot| slot.0.borrow_mut().take());
        if let Some(environment) = environment {
            for realm in environment.realms.take() {
                realm.close();
            }
            environment.table.clear();
            install(None);
        }
    };
    // The thread ends; there is nobody left to tell of a panic, which was printed.
    let _ = catch_unwind(AssertUnwindSafe(close));
}

fn make(env: &Env, name: &str) -> Result<Rc<Environment>> {
    let table = Table::new().map_err(|error| failure(&error.to_string()))?;
    let reactor = table.shared.reactor().ok_or_else(|| failure("no reactor"))?;
    let fd = reactor.borrow().as_fd().as_raw_fd();
    let hooks = Hooks { turn, close: shut_down };
    let driver = Driver::start(env, name, fd, hooks)?;
    install(driver::interrupt(env, name != "foreign"));
    table.shared.on_keep_alive(move |alive| driver.keep_alive(alive));
    Ok(Rc::new(Environment {
        table,
        realms: RefCell::default(),
    }))
}

/// Joins this thread's environment, making it first where there is none. `driver` is
/// `uv`, `thread`, or `foreign`: a thread, and the event loop is not libuv's.
#[napi(catch_unwind)]
pub fn start(
    env: Env,
    driver: String,
    dispatch: Function<'_, u32, ()>,
    #[napi(ts_arg_type = "Float64Array")] report: Unknown<'_>,
    #[napi(ts_arg_type = "Int32Array")] descriptors: Unknown<'_>,
    #[napi(ts_arg_type = "Uint32Array")] events: Unknown<'_>,
) -> Result<u32> {
    let known = ENVIRONMENT.with(|slot| slot.0.borrow().clone());
    let environment = match known {
        Some(environment) => environment,
        None => {
            let environment = make(&env, &driver)?;
            ENVIRONMENT.with(|slot| slot.0.replace(Some(environment.clone())));
            environment
        }
    };
    let realm = Rc::new(Realm::new(&env, dispatch, report, descriptors, events)?);
    let mut realms = environment.realms.borrow_mut();
    if realms.first().is_some_and(|first| first.env() != realm.env()) {
        return Err(failure("another environment runs on this thread"));
    }
    realms.push(realm);
    Ok(realms.len() as u32 - 1)
}
