//! Blocking calls end with their worker: what tells them that JavaScript may not go on.
//!
//! Whoever ends a worker marks it as stopping and wakes its event loop, which shows at the loop's own descriptor. Messages
//! to the worker do so too; whether it must end is then asked.

use std::cell::OnceCell;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::ptr;
use std::rc::Rc;

use fdwire_multiplexer::Notifier;
use fdwire_system::Interrupt;
use napi::{Env, sys};

use super::uv;

struct Worker {
    env: sys::napi_env,
    /// The event loop's descriptor, where it has one that is known.
    event_loop: Option<RawFd>,
    /// Made by the first blocking call. None where it cannot be made: then the calls ask now and then.
    notifier: OnceCell<Option<Notifier>>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("notifier", &self.notifier).finish()
    }
}

impl Interrupt for Worker {
    fn wake_up(&self) -> Option<BorrowedFd<'_>> {
        let make = || {
            let notifier = Notifier::new().ok()?;
            notifier.set(self.event_loop?, libc::POLLIN).ok()?;
            Some(notifier)
        };
        self.notifier.get_or_init(make).as_ref().map(AsFd::as_fd)
    }

    fn clear(&self) {
        if let Some(notifier) = self.notifier.get().and_then(Option::as_ref) {
            // Where it fails the next wait is woken at once, and asks once too often.
            let _ = notifier.clear();
        }
    }

    fn must_end(&self) -> bool {
        let mut scope = ptr::null_mut();
        let mut value = ptr::null_mut();
        let mut equal = false;
        // SAFETY: on the JavaScript thread, inside a call of JavaScript's. The comparison needs no JavaScript to run, yet
        // is refused where none may run any more.
        let status = unsafe {
            if sys::napi_open_handle_scope(self.env, &mut scope) != sys::Status::napi_ok {
                return true;
            }
            sys::napi_get_undefined(self.env, &mut value);
            let status = sys::napi_strict_equals(self.env, value, value, &mut equal);
            sys::napi_close_handle_scope(self.env, scope);
            status
        };
        status != sys::Status::napi_ok
    }
}

/// What is to be installed on this thread for as long as the JavaScript environment is there: nothing on the main thread,
/// which ends with the process. `is_node`: the event loop is libuv's.
pub(crate) fn interrupt(env: &Env, is_node: bool) -> Option<Rc<dyn Interrupt>> {
    if is_main_thread() {
        return None;
    }
    let event_loop = if is_node { uv::backend(env) } else { None };
    Some(Rc::new(Worker {
        env: env.raw(),
        event_loop,
        notifier: OnceCell::new(),
    }))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_main_thread() -> bool {
    // SAFETY: plain system calls.
    unsafe { libc::gettid() == libc::getpid() }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_main_thread() -> bool {
    // SAFETY: a plain call.
    unsafe { libc::pthread_main_np() != 0 }
}
