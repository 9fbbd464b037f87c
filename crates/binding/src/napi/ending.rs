//! Whether a JavaScript environment is going away.

use std::ptr;

use napi::sys;

/// Whether no JavaScript can run any more. Then finalizers are called for all memory of ours at once, also for what
/// `ArrayBuffer.prototype.transfer()` has moved to somebody else, another thread perhaps.
///
/// # Safety
/// On the thread of `env`.
pub(crate) unsafe fn is_ending(env: sys::napi_env) -> bool {
    if env.is_null() {
        return true;
    }
    let mut scope = ptr::null_mut();
    let mut value = ptr::null_mut();
    let mut equal = false;
    // SAFETY: as the caller vouches. The comparison needs no JavaScript to run, yet is refused where none may run.
    unsafe {
        if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
            return true;
        }
        sys::napi_get_undefined(env, &mut value);
        let status = sys::napi_strict_equals(env, value, value, &mut equal);
        sys::napi_close_handle_scope(env, scope);
        status != sys::Status::napi_ok
    }
}
