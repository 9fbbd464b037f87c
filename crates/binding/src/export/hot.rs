//! The calls that are made once per message or descriptor, as plain Node-API functions.
//!
//! What `#[napi]` generates around a function costs 120 to 180 ns a call, and each typed array 60 more: in user space
//! that is most of a small message. A plain callback costs 30. The bytes of small messages are in memory that JavaScript
//! registered before ([`crate::napi::realm::Realm`]).

use std::os::fd::OwnedFd;
use std::ptr;

use fdwire_engine::{Error, Message, Outcome, Place, Slots};
use napi::bindgen_prelude::{JsObjectValue, JsValue, Object, Unknown};
use napi::{Env, Result, check_status, sys};
use napi_derive::napi;

use crate::codes::{answer, wait};
use crate::environment::{self, Connection, Shared};
use crate::export::descriptor::borrow_all;
use crate::napi::arguments::{arguments, code, number, numbers};
use crate::napi::guard::throwing;
use crate::napi::held_array::HeldArray;
use crate::napi::held_buffer::{GivenBuffer, HeldBuffer};
use crate::napi::realm::{Realm, Report, Slab};

/// The one place where JavaScript is told what an operation came to. The descriptors are held for it from here on.
pub(crate) fn report(
    shared: &Shared,
    realm: &Realm,
    outcome: Outcome<HeldBuffer, OwnedFd>,
) -> (fdwire_engine::Result<i32>, Place<HeldBuffer>) {
    let fds: Vec<i32> = outcome
        .descriptors
        .into_iter()
        .map(|fd| shared.descriptors.hand_out(fd))
        .collect();
    realm.report(&Report {
        length: outcome.length,
        descriptors: &fds,
        written: outcome.written,
        queued: outcome.queued,
        flags: 0,
    });
    (outcome.result, outcome.place)
}

/// A receive with memory that is `offered`: a number, or the buffer that holds the message.
///
/// # Safety
/// With the environment and an argument of the callback that is running.
unsafe fn received(
    env: sys::napi_env,
    id: u32,
    offered: sys::napi_value,
    receive: impl FnOnce(&Shared, &Realm, &mut Connection, Option<GivenBuffer>) -> Outcome<HeldBuffer, OwnedFd>,
) -> sys::napi_value {
    // SAFETY: as the caller vouches.
    unsafe {
        let offer = GivenBuffer::some(env, offered);
        let mut place = Place::Nowhere;
        let result = environment::connection(id, |shared, realm, connection| {
            let outcome = receive(shared, realm, connection, offer);
            let (result, where_it_is) = report(shared, realm, outcome);
            place = where_it_is;
            result
        });
        match place {
            Place::Offered => offered,
            Place::Kept(buffer) => buffer.value(),
            _ => code(env, result),
        }
    }
}

unsafe extern "C" fn receive(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, offset, max_length, timeout, memory] = arguments(env, info);
            let [id, offset, max_length, timeout] = [id, offset, max_length, timeout].map(|value| number(env, value));
            received(env, id as u32, memory, |shared, realm, connection, offer| {
                let slab = realm.slab.borrow();
                let slots = slab.as_ref().map(|slab| slots(slab, offset as usize));
                let slots = slots.unwrap_or(Slots {
                    memory: &mut [],
                    lengths: &mut [],
                });
                connection.receive(shared, slots, max_length as u64, wait(timeout), offer)
            })
        })
    }
}

/// Where the small messages of a call go.
///
/// # Safety
/// One at a time, and not longer than the call.
unsafe fn slots(Slab { memory, lengths }: &Slab, offset: usize) -> Slots<'_> {
    let memory = memory.memory();
    // SAFETY: JavaScript looked whether the memory is there right before this call, and does not run meanwhile. Nothing
    // else uses the two arrays: they are not shared with other threads, and messages that users have are before `offset`.
    unsafe {
        Slots {
            memory: (&mut *memory).get_mut(offset..).unwrap_or_default(),
            lengths: &mut *lengths.memory(),
        }
    }
}

unsafe extern "C" fn receive_into(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, target, offset, timeout, memory] = arguments(env, info);
            let [id, offset, timeout] = [id, offset, timeout].map(|value| number(env, value));
            let target = GivenBuffer::new(env, target, offset as usize);
            received(env, id as u32, memory, |shared, _, connection, offer| {
                connection.receive_into(shared, target, wait(timeout), offer)
            })
        })
    }
}

unsafe extern "C" fn receive_record(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, max, timeout] = numbers(env, info);
            let result = environment::connection(id as u32, |shared, realm, connection| {
                let outcome = connection.receive_record(shared, max as usize, wait(timeout));
                report(shared, realm, outcome).0
            });
            code(env, result)
        })
    }
}

/// Sends a message, or a record alone, with the first `descriptors` shared descriptor words.
fn send_message(id: u32, message: Option<Message<GivenBuffer>>, descriptors: u32, cork: bool) -> Result<i32> {
    environment::connection(id, |shared, realm, connection| {
        let outcome = if descriptors == 0 {
            connection.send(shared, message, &[], cork)
        } else {
            borrow_all(&realm.descriptors(descriptors), |fds| {
                connection.send(shared, message, fds, cork)
            })?
        };
        report(shared, realm, outcome).0
    })
}

unsafe extern "C" fn send(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, data, offset, size, descriptors, cork] = arguments(env, info);
            let [id, offset, size, descriptors, cork] =
                [id, offset, size, descriptors, cork].map(|value| number(env, value));
            let start = offset as usize;
            let message = Message {
                memory: GivenBuffer::new(env, data, 0),
                range: start..start.saturating_add(size as usize),
            };
            code(
                env,
                send_message(id as u32, Some(message), descriptors as u32, cork != 0.0),
            )
        })
    }
}

unsafe extern "C" fn send_frames(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, stage, length, cork] = numbers(env, info);
            let result = environment::connection(id as u32, |shared, realm, connection| {
                let stages = realm.stages.borrow();
                // SAFETY: only this thread uses the memory, and JavaScript does not run meanwhile.
                let stage = stages.get(stage as usize).map(|stage| &*stage.memory());
                let frames = stage.and_then(|stage| stage.get(..length as usize));
                let outcome = connection.send_frames(shared, frames.ok_or(Error::NoSource)?, cork != 0.0);
                report(shared, realm, outcome).0
            });
            code(env, result)
        })
    }
}

unsafe extern "C" fn send_record(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [id, descriptors, cork] = numbers(env, info);
            code(env, send_message(id as u32, None, descriptors as u32, cork != 0.0))
        })
    }
}

unsafe extern "C" fn close_descriptor(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: of this callback.
    unsafe {
        throwing(env, || {
            let [fd] = numbers(env, info);
            let result = environment::with(|environment| {
                drop(environment.shared().descriptors.take_back(fd as i32));
                answer(Ok(0))
            });
            code(env, result)
        })
    }
}

/// The calls that are made once per message or descriptor. Where one waits, `timeout` is in milliseconds, and negative
/// where it must not. `cork` is 1 where what is sent is only queued, until `flush`. After each call the report has its
/// length, descriptors and stream positions.
///
/// - `receive` takes messages into the registered slab from `offset` on, each at the next multiple of eight: at least one,
///   and then those without descriptors that are here and fit, as many as there are words for their lengths. Returns how
///   many, with the first one's descriptors in the report; or the buffer that holds one large message; or a code. After
///   NEED_MEMORY it is to be called again with `memory` of as many bytes as the report's length says, which is not to be
///   used for anything else. After WOULD_BLOCK a large message is read on, and READABLE reported when it is whole.
/// - `receiveInto` takes one message into `target` from `offset` on: 1; or a buffer that holds a message which does not fit
///   there, or began before; or a code. It asks for memory as `receive` does.
/// - `receiveRecord` takes one byte and the descriptors that came with it, 1 to `max`: a positive number with them in the
///   report, or a code.
/// - `send` sends `size` bytes of `data` from `offset` as one message, after the first `descriptors` shared descriptor
///   words. 0: the kernel has all; QUEUED: not yet, and the report says up to which stream position it must; or a code:
///   nothing of it was sent.
/// - `sendFrames` sends the small messages that are framed in the first `length` bytes of a stage. Returns as `send` does.
/// - `sendRecord` sends a handle record of the first `descriptors` shared descriptor words. Returns as `send` does.
/// - `closeDescriptor` closes a descriptor of ours: 0.
#[napi(
    catch_unwind,
    ts_return_type = "{
  receive(id: number, offset: number, maxLength: number, timeout: number, memory?: Uint8Array): number | Buffer
  receiveInto(id: number, target: Uint8Array, offset: number, timeout: number, memory?: Uint8Array): number | Buffer
  receiveRecord(id: number, max: number, timeout: number): number
  send(id: number, data: Uint8Array, offset: number, size: number, descriptors: number, cork: number): number
  sendFrames(id: number, stage: number, length: number, cork: number): number
  sendRecord(id: number, descriptors: number, cork: number): number
  closeDescriptor(fd: number): number
}"
)]
pub fn hot(env: Env) -> Result<Object<'static>> {
    let mut functions = Object::new(&env)?;
    for (name, callback) in [
        (c"receive", receive as unsafe extern "C" fn(_, _) -> _),
        (c"receiveInto", receive_into),
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

/// Where `receive` puts small messages from now on, and their lengths.
#[napi(catch_unwind)]
pub fn register_slab(
    env: Env,
    realm: u32,
    #[napi(ts_arg_type = "Uint8Array")] memory: Unknown<'_>,
    #[napi(ts_arg_type = "Uint32Array")] lengths: Unknown<'_>,
) -> Result<i32> {
    // SAFETY: values of the call that is running.
    let (memory, lengths) = unsafe {
        (
            HeldArray::new(env.raw(), memory.raw())?,
            HeldArray::new(env.raw(), lengths.raw())?,
        )
    };
    environment::answering(|environment| {
        let slab = Slab { memory, lengths };
        environment.realm(realm)?.slab.replace(Some(slab));
        Ok(0)
    })
}

/// Memory in which JavaScript frames small messages; returns what `sendFrames` knows it by.
#[napi(catch_unwind)]
pub fn register_stage(env: Env, realm: u32, #[napi(ts_arg_type = "Uint8Array")] memory: Unknown<'_>) -> Result<i32> {
    // SAFETY: a value of the call that is running.
    let memory = unsafe { HeldArray::new(env.raw(), memory.raw())? };
    environment::answering(|environment| {
        let realm = environment.realm(realm)?;
        let mut stages = realm.stages.borrow_mut();
        stages.push(memory);
        Ok(stages.len() as i32 - 1)
    })
}
