//! What a plain Node-API callback was given, and what it returns.

use std::ptr;

use napi::{Result, sys};

/// What a call was given; what was not is `undefined`.
///
/// # Safety
/// `env` and `info` are those of the callback that is running.
pub(crate) unsafe fn arguments<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> [sys::napi_value; N] {
    let mut count = N;
    let mut values = [ptr::null_mut(); N];
    // SAFETY: `values` has room for `count`, and is filled with `undefined` where there are fewer arguments.
    unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &mut count,
            values.as_mut_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    values
}

/// A number; what is none is 0.
///
/// # Safety
/// `value` is an argument of the callback that is running.
pub(crate) unsafe fn number(env: sys::napi_env, value: sys::napi_value) -> f64 {
    let mut number = 0.0;
    // SAFETY: as the caller vouches.
    unsafe { sys::napi_get_value_double(env, value, &mut number) };
    number
}

/// The numbers a call was given.
///
/// # Safety
/// As for [`arguments`].
pub(crate) unsafe fn numbers<const N: usize>(env: sys::napi_env, info: sys::napi_callback_info) -> [f64; N] {
    // SAFETY: as the caller vouches.
    unsafe { arguments::<N>(env, info).map(|value| number(env, value)) }
}

/// What a call returns.
///
/// # Safety
/// `env` is that of the callback that is running.
pub(crate) unsafe fn code(env: sys::napi_env, result: Result<i32>) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: as the caller vouches. Where there is no environment any more, no descriptor is open.
    unsafe { sys::napi_create_int32(env, result.unwrap_or(-libc::EBADF), &mut value) };
    value
}
