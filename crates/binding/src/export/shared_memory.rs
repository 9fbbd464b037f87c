//! Shared memory as an ArrayBuffer.
//!
//! Two things keep a mapping: the backing store of its ArrayBuffer, which outlives the object where it was transferred,
//! and the ArrayBuffer object, which outlives its backing store where it was detached while something, a send say, still
//! has the address. It is unmapped when both are gone.

use std::ffi::{CString, c_void};
use std::ptr;
use std::sync::Arc;

use fdwire_engine::Error as Failure;
use fdwire_memory::{self as memory, Error, Mapping};
use fdwire_system::{Errno, Error as SystemError};
use napi::bindgen_prelude::{Either, JsObjectValue, JsValue, Object, Unknown};
use napi::{Env, Result, check_status, sys};
use napi_derive::napi;

use super::descriptor::borrow;
use crate::codes::code;
use crate::environment;
use crate::napi::ending::is_ending;

/// The descriptor is not of memory that can be shared.
#[napi]
pub const NOT_MEMORY: i32 = -10_101;
/// The memory is not sealed against shrinking.
#[napi]
pub const SHRINKABLE: i32 = -10_102;

/// No seal can be added any more.
#[napi]
pub const SEAL_SEAL: i32 = memory::SEAL_SEAL;
/// The size cannot decrease.
#[napi]
pub const SEAL_SHRINK: i32 = memory::SEAL_SHRINK;
/// The size cannot increase.
#[napi]
pub const SEAL_GROW: i32 = memory::SEAL_GROW;
/// Nobody can write.
#[napi]
pub const SEAL_WRITE: i32 = memory::SEAL_WRITE;
/// Nobody can write but through what is mapped already.
#[napi]
pub const SEAL_FUTURE_WRITE: i32 = memory::SEAL_FUTURE_WRITE;

/// What a call of memory failed with, in numbers.
enum Refusal {
    Memory(Error),
    Other(Failure),
}

impl From<Failure> for Refusal {
    fn from(error: Failure) -> Refusal {
        Refusal::Other(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Memory(error)
    }
}

impl Refusal {
    fn code(self) -> i32 {
        match self {
            Refusal::Memory(Error::NotMemory) => NOT_MEMORY,
            Refusal::Memory(Error::Shrinkable) => SHRINKABLE,
            Refusal::Memory(Error::System(error)) => code(error.into()),
            Refusal::Memory(error) => code(SystemError::system(error.syscall(), error.errno()).into()),
            Refusal::Other(error) => code(error),
        }
    }
}

/// Makes memory: its descriptor, which is ours, or a negative code.
#[napi(catch_unwind)]
pub fn memory_create(name: String, size: f64) -> Result<i32> {
    let invalid = Error::System(SystemError::system("memfd_create", Errno::EINVAL));
    environment::with(|environment| {
        let created = CString::new(name).map_err(|_| invalid);
        match created.and_then(|name| memory::create_memory(&name, size as u64)) {
            Ok(fd) => environment.shared().descriptors.hand_out(fd),
            Err(error) => Refusal::Memory(error).code(),
        }
    })
}

/// The seals of memory, or a negative code.
#[napi(catch_unwind)]
pub fn memory_seals(fd: i32) -> i32 {
    borrow(fd, |fd| Ok::<_, Refusal>(memory::seals(fd)?)).unwrap_or_else(Refusal::code)
}

/// Adds seals: 0 or a negative code.
#[napi(catch_unwind)]
pub fn memory_add_seals(fd: i32, seals: i32) -> i32 {
    match borrow(fd, |fd| Ok::<_, Refusal>(memory::add_seals(fd, seals)?)) {
        Ok(()) => 0,
        Err(refusal) => refusal.code(),
    }
}

/// Maps `size` bytes of a memory, or all of it, at most `max`, or gives a negative code. `private` tells that what is
/// written stays here.
#[napi(catch_unwind, ts_return_type = "number | { buffer: ArrayBuffer; private: boolean }")]
pub fn memory_map<'env>(env: &'env Env, fd: i32, size: Option<f64>, max: f64) -> Result<Either<i32, Object<'env>>> {
    let mapped = borrow(fd, |fd| {
        Ok::<_, Refusal>(Mapping::new(fd, size.map(|size| size as u64), max as u64)?)
    });
    let mapping = match mapped {
        Ok(mapping) => Arc::new(mapping),
        Err(refusal) => return Ok(Either::A(refusal.code())),
    };
    let Some(buffer) = array_buffer(env, &mapping)? else {
        let missing = Failure::Unsupported("memory of others as an ArrayBuffer");
        return Ok(Either::A(code(missing)));
    };
    let mut result = Object::new(env)?;
    result.set_named_property("buffer", buffer)?;
    result.set_named_property("private", mapping.private())?;
    Ok(Either::B(result))
}

/// An ArrayBuffer that keeps `mapping`; none where the runtime allows memory of its own only.
fn array_buffer<'env>(env: &'env Env, mapping: &Arc<Mapping>) -> Result<Option<Unknown<'env>>> {
    let raw = env.raw();
    let mut buffer = ptr::null_mut();
    // SAFETY: on the JavaScript thread. The range is mapped until `drop_mapping` was called with the reference that
    // `into_raw` gave away; it is taken back only where the runtime did not.
    unsafe {
        let kept = Arc::into_raw(mapping.clone()).cast_mut().cast::<c_void>();
        let data = mapping.address().as_ptr();
        let status =
            sys::napi_create_external_arraybuffer(raw, data, mapping.size(), Some(drop_mapping), kept, &mut buffer);
        if status == sys::Status::napi_no_external_buffers_allowed {
            drop(Arc::from_raw(kept.cast::<Mapping>()));
            return Ok(None);
        }
        check_status!(status)?;
        let kept = Arc::into_raw(mapping.clone()).cast_mut().cast::<c_void>();
        let status = sys::napi_wrap(raw, buffer, kept, Some(drop_wrapped), ptr::null_mut(), ptr::null_mut());
        if status != sys::Status::napi_ok {
            drop(Arc::from_raw(kept.cast::<Mapping>()));
        }
        check_status!(status)?;
        Ok(Some(Unknown::from_raw_unchecked(raw, buffer)))
    }
}

/// The backing store is gone, or its environment is: then somebody else may have the memory, and only zeros stay in its
/// place, for as long as the process lives.
unsafe extern "C" fn drop_mapping(env: sys::napi_env, _data: *mut c_void, kept: *mut c_void) {
    // SAFETY: the reference given away in `array_buffer`; the runtime calls this once, on the thread of `env`.
    let (mapping, ending) = unsafe { (Arc::from_raw(kept.cast::<Mapping>()), is_ending(env)) };
    if ending {
        mapping.release();
        std::mem::forget(mapping);
    }
}

/// The ArrayBuffer object is gone.
unsafe extern "C" fn drop_wrapped(_env: sys::napi_env, kept: *mut c_void, _hint: *mut c_void) {
    // SAFETY: as in `drop_mapping`.
    drop(unsafe { Arc::from_raw(kept.cast::<Mapping>()) });
}

/// Detaches an ArrayBuffer that `memoryMap` made, and gives its memory up. The addresses are freed when nothing has them.
#[napi(catch_unwind)]
pub fn memory_unmap(env: Env, #[napi(ts_arg_type = "ArrayBuffer")] buffer: Unknown<'_>) -> Result<()> {
    let raw = env.raw();
    let mut wrapped = ptr::null_mut();
    // SAFETY: on the JavaScript thread. Only `array_buffer` wraps ArrayBuffers in this module, and the object, being an
    // argument, keeps the mapping for the call.
    unsafe {
        check_status!(sys::napi_unwrap(raw, buffer.raw(), &mut wrapped))?;
        // Whether it could be detached or not, its addresses stay safe to touch.
        sys::napi_detach_arraybuffer(raw, buffer.raw());
        (*wrapped.cast::<Mapping>()).release();
    }
    Ok(())
}
