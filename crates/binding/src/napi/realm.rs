//! One loaded copy of the JavaScript layer: its callback, and the memory shared with it.

use std::cell::{Cell, RefCell};
use std::ptr;

use napi::bindgen_prelude::{Function, JsValue, Unknown};
use napi::{Env, Result, check_status, sys};

use super::held_array::HeldArray;
use crate::codes::{
    REPORT_DESCRIPTORS, REPORT_FLAGS, REPORT_LENGTH, REPORT_QUEUED, REPORT_TURN, REPORT_WORDS, REPORT_WRITTEN,
};

/// `(id, flags)` of one source that has something for JavaScript.
pub(crate) type Notice = (u32, u32);

/// What a call tells besides its result.
#[derive(Default)]
pub(crate) struct Report<'a> {
    pub(crate) length: u64,
    pub(crate) descriptors: &'a [i32],
    pub(crate) written: u64,
    pub(crate) queued: u64,
    pub(crate) flags: u32,
}

/// Belongs to its thread; dropped at the latest in the cleanup hook, before the JavaScript environment goes.
pub(crate) struct Realm {
    env: sys::napi_env,
    dispatch: sys::napi_ref,
    report: HeldArray<f64>,
    descriptors: HeldArray<i32>,
    events: HeldArray<u32>,
    /// Where small messages are received.
    pub(crate) slab: RefCell<Option<Slab>>,
    /// Where JavaScript frames small messages to be sent.
    pub(crate) stages: RefCell<Vec<HeldArray<u8>>>,
    /// What JavaScript is to hear of in this turn.
    notices: RefCell<Vec<Notice>>,
    /// How often JavaScript was called.
    turns: Cell<u64>,
    closed: Cell<bool>,
}

/// Memory for small messages, and words for their lengths.
pub(crate) struct Slab {
    pub(crate) memory: HeldArray<u8>,
    pub(crate) lengths: HeldArray<u32>,
}

impl Realm {
    pub(crate) fn new(
        env: &Env,
        dispatch: Function<'_, u32, ()>,
        report: Unknown<'_>,
        descriptors: Unknown<'_>,
        events: Unknown<'_>,
    ) -> Result<Realm> {
        let raw = env.raw();
        // SAFETY: called on the JavaScript thread with values of this environment; what was made before something fails
        // is dropped with the realm.
        unsafe {
            let mut realm = Realm {
                env: raw,
                dispatch: ptr::null_mut(),
                report: HeldArray::new(raw, report.raw())?,
                descriptors: HeldArray::new(raw, descriptors.raw())?,
                events: HeldArray::new(raw, events.raw())?,
                slab: RefCell::default(),
                stages: RefCell::default(),
                notices: RefCell::default(),
                turns: Cell::new(0),
                closed: Cell::new(false),
            };
            if realm.report.len() < REPORT_WORDS as usize || realm.events.len() < 2 {
                return Err(napi::Error::new(
                    napi::Status::InvalidArg,
                    "shared memory too short".to_owned(),
                ));
            }
            check_status!(sys::napi_create_reference(raw, dispatch.raw(), 1, &mut realm.dispatch))?;
            Ok(realm)
        }
    }

    /// From here on JavaScript is not called any more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    pub(crate) fn env(&self) -> sys::napi_env {
        self.env
    }

    fn word(&self, index: u32, value: f64) {
        self.report.set(index as usize, value);
    }

    /// Tells all that a call has to tell besides its result, so that nothing is left of an earlier one.
    pub(crate) fn report(&self, report: &Report<'_>) {
        self.word(REPORT_LENGTH, report.length as f64);
        self.word(REPORT_DESCRIPTORS, report.descriptors.len() as f64);
        self.word(REPORT_WRITTEN, report.written as f64);
        self.word(REPORT_QUEUED, report.queued as f64);
        self.word(REPORT_FLAGS, f64::from(report.flags));
        for (index, &fd) in report.descriptors.iter().enumerate() {
            self.descriptors.set(index, fd);
        }
    }

    /// The first `count` descriptors that JavaScript left in the shared words.
    pub(crate) fn descriptors(&self, count: u32) -> Vec<i32> {
        (0..count as usize)
            .map_while(|index| self.descriptors.get(index))
            .collect()
    }

    /// Notes what `notify` is to tell.
    pub(crate) fn note(&self, notice: Notice) {
        self.notices.borrow_mut().push(notice);
    }

    /// Tells JavaScript what was noted, in as many calls as the shared memory asks for.
    pub(crate) fn notify(&self) {
        if self.notices.borrow().is_empty() {
            return;
        }
        let mut notices = self.notices.take();
        for chunk in notices.chunks(self.events.len() / 2) {
            if self.closed.get() {
                return;
            }
            for (index, (id, flags)) in chunk.iter().enumerate() {
                self.events.set(2 * index, *id);
                self.events.set(2 * index + 1, *flags);
            }
            self.turns.set(self.turns.get() + 1);
            self.word(REPORT_TURN, self.turns.get() as f64);
            self.dispatch(chunk.len() as u32);
            // Microtasks ran before it returned.
            self.word(REPORT_TURN, 0.0);
        }
        // The memory is used again in the next turn.
        notices.clear();
        self.notices.replace(notices);
    }

    /// Calls back as the event loop does: microtasks run afterwards, and what is thrown becomes an uncaughtException.
    fn dispatch(&self, count: u32) {
        let env = self.env;
        let mut scope = ptr::null_mut();
        // SAFETY: on the JavaScript thread, outside any other scope of ours, with a live environment (`closed` is set
        // before it goes away). A failing call leaves its out-pointer null, and a null function is not called.
        unsafe {
            if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
                return;
            }
            let mut function = ptr::null_mut();
            let mut argument = ptr::null_mut();
            sys::napi_get_reference_value(env, self.dispatch, &mut function);
            sys::napi_create_uint32(env, count, &mut argument);
            if !function.is_null() && !argument.is_null() {
                let arguments = [argument];
                // Deno stores the result without asking whether there is a place for it.
                let mut result = ptr::null_mut();
                let status = sys::napi_make_callback(
                    env,
                    // The event loop's own context. One of ours would have to be destroyed when a worker ends, where Deno
                    // crashes.
                    ptr::null_mut(),
                    // Any object will do as `this`.
                    function,
                    function,
                    1,
                    arguments.as_ptr(),
                    &mut result,
                );
                if status == sys::Status::napi_pending_exception {
                    let mut thrown = ptr::null_mut();
                    sys::napi_get_and_clear_last_exception(env, &mut thrown);
                    if !thrown.is_null() {
                        sys::napi_fatal_exception(env, thrown);
                    }
                }
            }
            sys::napi_close_handle_scope(env, scope);
        }
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        // SAFETY: on the JavaScript thread, with an environment that is not gone.
        unsafe {
            if !self.dispatch.is_null() {
                sys::napi_delete_reference(self.env, self.dispatch);
            }
        }
    }
}
