//! Panics stop at the border to C, which nothing may unwind into: they become errors of JavaScript's.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::sys;

/// For a callback that JavaScript called: throws what `f` panics with.
///
/// # Safety
/// On the JavaScript thread, with the environment of the callback that is running.
pub(crate) unsafe fn throwing(env: sys::napi_env, f: impl FnOnce() -> sys::napi_value) -> sys::napi_value {
    // What a panic leaves half done are the fields of one source, whose next call fails or goes on.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        // SAFETY: as the caller vouches.
        unsafe { sys::napi_throw(env, error(env, panic.as_ref())) };
        ptr::null_mut()
    })
}

/// For a callback of the event loop: what `f` panics with becomes an uncaughtException.
///
/// # Safety
/// On the JavaScript thread, with its live environment.
pub(crate) unsafe fn uncaught(env: sys::napi_env, f: impl FnOnce()) {
    // As in `throwing`.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
        let mut scope = ptr::null_mut();
        // SAFETY: as the caller vouches.
        unsafe {
            if sys::napi_open_handle_scope(env, &mut scope) == sys::Status::napi_ok {
                sys::napi_fatal_exception(env, error(env, panic.as_ref()));
                sys::napi_close_handle_scope(env, scope);
            }
        }
    }
}

/// # Safety
/// On the JavaScript thread, in an open handle scope.
unsafe fn error(env: sys::napi_env, panic: &(dyn Any + Send)) -> sys::napi_value {
    let reason = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown");
    let text = format!("fdwire panicked, please report it: {reason}");
    let mut message = ptr::null_mut();
    let mut error = ptr::null_mut();
    // SAFETY: as the caller vouches; the text is valid for its length.
    unsafe {
        sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &mut message);
        sys::napi_create_error(env, ptr::null_mut(), message, &mut error);
    }
    error
}
