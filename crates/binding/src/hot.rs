//! The calls that are made once per message or descriptor, as plain Node-API functions.
//!
//! What `#[napi]` generates around a function costs 120 to 180 ns a call, and each typed array 60 more: in user space
//! that is most of a small message. A plain callback costs 30. The bytes of small messages are in memory that JavaScript
//! registered before ([`crate::napi::realm::Realm`]).

use std::ptr;

use napi::bindgen_prelude::{JsObjectValue, Object, Unknown};
use napi::{Env, Result, check_status, sys};
use napi_derive::napi;

use crate::napi::arguments::{arguments, code, memory, number, numbers};
use crate::napi::guard::throwing;
use crate::napi::held_buffer::HeldBuffer;
use crate::send::Message;
use crate::{body, descriptors, receive, send};

unsafe extern "C" fn receive(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, offset, max_length, timeout, spare] = arguments(env, info);
            let [id, offset, max_length, timeout] = [id, offset, max_length, timeout].map(|value| number(env, value));
            let spare = memory(env, spare);
            code(
                env,
                receive::receive(id as u32, offset as usize, max_length, timeout, spare),
            )
        })
    }
}

unsafe extern "C" fn receive_into(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, target, offset, max_length, timeout] = arguments(env, info);
            let [id, offset, max_length, timeout] = [id, offset, max_length, timeout].map(|value| number(env, value));
            let target = memory(env, target).get_mut(offset as usize..).unwrap_or_default();
            code(env, receive::receive_into(id as u32, target, max_length, timeout))
        })
    }
}

unsafe extern "C" fn receive_body(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, target, offset, timeout] = arguments(env, info);
            let [id, offset, timeout] = [id, offset, timeout].map(|value| number(env, value));
            let hold = || HeldBuffer::new(env, target);
            let target = memory(env, target);
            code(
                env,
                body::receive_body(id as u32, target, offset as usize, &hold, timeout),
            )
        })
    }
}

unsafe extern "C" fn receive_record(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, max, timeout] = numbers(env, info);
            code(env, receive::receive_record(id as u32, max as usize, timeout))
        })
    }
}

unsafe extern "C" fn send(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, data, offset, size, descriptors, cork] = arguments(env, info);
            let [id, offset, size, descriptors, cork] =
                [id, offset, size, descriptors, cork].map(|value| number(env, value));
            let hold = || HeldBuffer::new(env, data);
            let message = Message::new(memory(env, data), offset as usize, size as usize, &hold);
            code(env, send::send(id as u32, message, descriptors as u32, cork != 0.0))
        })
    }
}

unsafe extern "C" fn send_frames(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, stage, length, cork] = numbers(env, info);
            code(
                env,
                send::send_frames(id as u32, stage as usize, length as usize, cork != 0.0),
            )
        })
    }
}

unsafe extern "C" fn send_record(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, descriptors, cork] = numbers(env, info);
            code(env, send::send_record(id as u32, descriptors as u32, cork != 0.0))
        })
    }
}

unsafe extern "C" fn close_descriptor(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [fd] = numbers(env, info);
            code(env, descriptors::close(fd as i32))
        })
    }
}

/// The calls that are made once per message or descriptor. Where one waits, `timeout` is in milliseconds, and negative
/// where it must not. `cork` is 1 where what is sent is only queued, until `flush`.
///
/// - `receive` takes messages into the registered slab from `offset` on, each at the next multiple of eight: at least one,
///   and then those without descriptors that are here and fit, as many as there are words for their lengths. Returns how
///   many, with the first one's number of descriptors in the report, or a code. A large message as long as `spare`, where
///   there is one, is read into that: SPARE_FILLED, or LARGE_BODY where only its beginning is here.
/// - `receiveInto` takes one message into `target` from `offset` on: 1, with its number of descriptors in the report, or a
///   code.
/// - `receiveBody` reads on in a large message's body, whose first byte belongs at `offset` of `target`: 0 when it is
///   complete, or a code. After WOULD_BLOCK `target` is read into until the body is complete, if it has room for that.
/// - `receiveRecord` takes one byte and the descriptors that came with it, 1 to `max`: 0 with their number in the report,
///   or a code.
/// - `send` sends `size` bytes of `data` from `offset` as one message, after the first `descriptors` shared descriptor
///   words. 0: the kernel has all; QUEUED: not yet, and the report says up to which stream position it must; `-errno`:
///   nothing of it was sent.
/// - `sendFrames` sends the small messages that are framed in the first `length` bytes of a stage. Returns as `send` does.
/// - `sendRecord` sends a handle record of the first `descriptors` shared descriptor words. Returns as `send` does.
/// - `closeDescriptor` closes a descriptor of ours: 0 or `-errno`.
#[napi(ts_return_type = "{
  receive(id: number, offset: number, maxLength: number, timeout: number, spare: Uint8Array | undefined): number
  receiveInto(id: number, target: Uint8Array, offset: number, maxLength: number, timeout: number): number
  receiveBody(id: number, target: Uint8Array, offset: number, timeout: number): number
  receiveRecord(id: number, max: number, timeout: number): number
  send(id: number, data: Uint8Array, offset: number, size: number, descriptors: number, cork: number): number
  sendFrames(id: number, stage: number, length: number, cork: number): number
  sendRecord(id: number, descriptors: number, cork: number): number
  closeDescriptor(fd: number): number
}")]
pub fn hot(env: Env) -> Result<Object<'static>> {
    let mut functions = Object::new(&env)?;
    for (name, callback) in [
        (c"receive", receive as unsafe extern "C" fn(_, _) -> _),
        (c"receiveInto", receive_into),
        (c"receiveBody", receive_body),
        (c"receiveRecord", receive_record),
        (c"send", send),
        (c"sendFrames", send_frames),
        (c"sendRecord", send_record),
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
