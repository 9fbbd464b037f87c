//! Memory for large messages, as Buffers whose memory is used again once they are collected.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, OnceLock};

use fdwire_memory::{Block, Pool};
use napi::bindgen_prelude::Unknown;
use napi::{Env, Result, check_status, sys};
use napi_derive::napi;

/// Bytes of the process that are kept for large messages at the most, in use or not.
const LIMIT: usize = 32 * 1024 * 1024;

/// JavaScript asks for it on the main thread alone: where an environment ends, its blocks come back although
/// `ArrayBuffer.prototype.transfer()` may have handed their memory to another thread. The main thread ends last.
fn pool() -> &'static Arc<Pool> {
    static POOL: OnceLock<Arc<Pool>> = OnceLock::new();
    POOL.get_or_init(|| Pool::new(LIMIT))
}

/// A Buffer of pooled memory, which may hold the bytes of earlier messages; null where the pool is exhausted, or the
/// runtime allows Buffers of memory of its own only.
#[napi(catch_unwind, ts_return_type = "Buffer | null")]
pub fn pool_take(env: Env, length: f64) -> Result<Option<Unknown<'static>>> {
    // As a whole number of 32 bits, 4 GiB would be 0.
    if !(1.0..=LIMIT as f64).contains(&length) {
        return Ok(None);
    }
    let Some(block) = pool().take(length as usize) else {
        return Ok(None);
    };
    let data = block.address().as_ptr().cast::<c_void>();
    let kept = Box::into_raw(Box::new(block)).cast::<c_void>();
    let mut buffer = ptr::null_mut();
    // SAFETY: on the JavaScript thread. The block has so many bytes, and is nobody else's until `give_back` was called
    // with it, which the runtime does once, or the lines below where it did not take it.
    unsafe {
        let status =
            sys::napi_create_external_buffer(env.raw(), length as usize, data, Some(give_back), kept, &mut buffer);
        if status != sys::Status::napi_ok {
            drop(Box::from_raw(kept.cast::<Block>()));
        }
        if status == sys::Status::napi_no_external_buffers_allowed {
            return Ok(None);
        }
        check_status!(status)?;
        Ok(Some(Unknown::from_raw_unchecked(env.raw(), buffer)))
    }
}

/// The Buffer's memory is nobody's any more.
unsafe extern "C" fn give_back(_env: sys::napi_env, _data: *mut c_void, kept: *mut c_void) {
    // SAFETY: the box made in `pool_take`; the runtime calls this once.
    drop(unsafe { Box::from_raw(kept.cast::<Block>()) });
}

/// Gives the system back what was not needed since the last call; true while there is more.
#[napi(catch_unwind)]
pub fn pool_trim() -> bool {
    pool().trim()
}
