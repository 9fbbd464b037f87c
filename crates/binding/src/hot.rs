//! The calls that are made once per message or descriptor, as plain Node-API functions.
//!
//! What `#[napi]` generates around a function costs 120 to 180 ns a call, and each typed array 60 more: in user space
//! that is most of a small message. A plain callback costs 30. Only numbers cross; the bytes are in memory that
//! JavaScript registered before ([`crate::realm::Realm`]).

use std::ptr;

use napi::bindgen_prelude::{JsObjectValue, Object, Unknown};
use napi::{Env, Result, check_status, sys};
use napi_derive::napi;

/// The numbers a call was given; what is none is 0.
///
/// # Safety
/// `env` and `info` are those of the callback that is running.
unsafe fn numbers<const N: usize>(env: sys::napi_env, info: sys::napi_callback_info) -> [f64; N] {
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
        );
        values.map(|value| {
            let mut number = 0.0;
            sys::napi_get_value_double(env, value, &mut number);
            number
        })
    }
}

/// The number a call returns.
///
/// # Safety
/// `env` is that of the callback that is running.
unsafe fn number(env: sys::napi_env, result: Result<i32>) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: as the caller vouches. Where there is no environment any more, no descriptor is open.
    unsafe { sys::napi_create_int32(env, result.unwrap_or(-libc::EBADF), &mut value) };
    value
}

unsafe extern "C" fn receive(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        let [id, offset, max_length, timeout] = numbers(env, info);
        number(
            env,
            crate::receive::receive(id as u32, offset as usize, max_length, timeout),
        )
    }
}

unsafe extern "C" fn send_frames(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        let [id, stage, length, cork] = numbers(env, info);
        number(
            env,
            crate::send::send_frames(id as u32, stage as usize, length as usize, cork != 0.0),
        )
    }
}

unsafe extern "C" fn close_descriptor(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        let [fd] = numbers(env, info);
        number(env, crate::descriptors::close(fd as i32))
    }
}

/// The calls that are made once per message or descriptor. `receive` takes messages into the registered room, from `offset` on, and
/// returns how many, or a code; `sendFrames` sends the first `length` bytes of a registered stage, or queues them where
/// `cork` is 1, and returns as `send` does. `closeDescriptor` closes a descriptor of ours.
#[napi(ts_return_type = "{
  receive(id: number, offset: number, maxLength: number, timeout: number): number
  sendFrames(id: number, stage: number, length: number, cork: number): number
  closeDescriptor(fd: number): number
}")]
pub fn hot(env: Env) -> Result<Object<'static>> {
    let mut functions = Object::new(&env)?;
    for (name, callback) in [
        (c"receive", receive as unsafe extern "C" fn(_, _) -> _),
        (c"sendFrames", send_frames),
        (c"closeDescriptor", close_descriptor),
    ] {
        let mut function = ptr::null_mut();
        // SAFETY: called on the JavaScript thread; the callbacks are static.
        let function = unsafe {
            check_status!(sys::napi_create_function(
                env.raw(),
                name.as_ptr(),
                name.count_bytes() as isize,
                Some(callback),
                ptr::null_mut(),
                &mut function
            ))?;
            Unknown::from_raw_unchecked(env.raw(), function)
        };
        functions.set_c_named_property(name, function)?;
    }
    Ok(functions)
}
