//! A JavaScript buffer that is sent, or filled: for the length of a call, or beyond it.

use std::ptr::{self, NonNull};

use fdwire_engine::{Memory, Offer, Region};
use napi::{Result, check_status, sys};

/// Where the memory of a `Uint8Array` is, and how long; null where `view` is none, or its memory was transferred away.
///
/// # Safety
/// On the JavaScript thread, with a value of an open handle scope of `env`.
unsafe fn memory(env: sys::napi_env, view: sys::napi_value) -> (*mut u8, usize) {
    let mut data = ptr::null_mut();
    let mut length = 0;
    // SAFETY: as the caller vouches. Out-pointers that are not wanted may be null, and a call that fails leaves ours as
    // they were.
    unsafe {
        sys::napi_get_typedarray_info(
            env,
            view,
            ptr::null_mut(),
            &mut length,
            &mut data,
            ptr::null_mut(),
            ptr::null_mut(),
        );
    }
    (data.cast(), length)
}

/// The buffer of the call that is running, from an offset on.
pub(crate) struct GivenBuffer {
    env: sys::napi_env,
    value: sys::napi_value,
    start: usize,
    data: *mut u8,
    length: usize,
}

impl GivenBuffer {
    /// # Safety
    /// With an argument of the callback that is running, which the result does not outlive.
    pub(crate) unsafe fn new(env: sys::napi_env, value: sys::napi_value, start: usize) -> GivenBuffer {
        // SAFETY: as the caller vouches.
        let (data, length) = unsafe { memory(env, value) };
        let start = start.min(length);
        GivenBuffer {
            env,
            value,
            start,
            data: if data.is_null() {
                NonNull::dangling().as_ptr()
            } else {
                // SAFETY: within the buffer.
                unsafe { data.add(start) }
            },
            length: length - start,
        }
    }

    /// The same; none where it is no buffer, or an empty one.
    ///
    /// # Safety
    /// As for [`GivenBuffer::new`].
    pub(crate) unsafe fn some(env: sys::napi_env, value: sys::napi_value) -> Option<GivenBuffer> {
        // SAFETY: as the caller vouches.
        let given = unsafe { GivenBuffer::new(env, value, 0) };
        (given.length > 0).then_some(given)
    }
}

impl Memory for GivenBuffer {
    fn region(&mut self) -> Option<Region<'_>> {
        // SAFETY: the call that is running holds the buffer, and JavaScript, which could take its memory away, does not run
        // on this thread until it returns. Others may write it, which a region allows.
        Some(unsafe { Region::new(self.data, self.length) })
    }
}

impl Offer for GivenBuffer {
    type Held = HeldBuffer;

    fn hold(&self) -> Option<HeldBuffer> {
        HeldBuffer::new(self).ok()
    }
}

/// Holds a buffer by a reference. Where its memory is, is asked each time: JavaScript may have transferred it away.
pub(crate) struct HeldBuffer {
    env: sys::napi_env,
    reference: sys::napi_ref,
    start: usize,
    length: usize,
}

impl HeldBuffer {
    fn new(given: &GivenBuffer) -> Result<HeldBuffer> {
        let mut reference = ptr::null_mut();
        // SAFETY: called with a live value of this environment.
        unsafe { check_status!(sys::napi_create_reference(given.env, given.value, 1, &mut reference))? };
        Ok(HeldBuffer {
            env: given.env,
            reference,
            start: given.start,
            length: given.length,
        })
    }

    /// The buffer, in the handle scope that is open; null where that fails.
    pub(crate) fn value(&self) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: on the JavaScript thread; a call that fails leaves its out-pointer null.
        unsafe { sys::napi_get_reference_value(self.env, self.reference, &mut value) };
        value
    }
}

impl Memory for HeldBuffer {
    fn region(&mut self) -> Option<Region<'_>> {
        let mut scope = ptr::null_mut();
        // SAFETY: on the JavaScript thread, with an environment that outlives the reference. The region is the buffer's as
        // long as JavaScript does not run, and nobody calls it who has a source borrowed.
        unsafe {
            sys::napi_open_handle_scope(self.env, &mut scope);
            let (data, length) = memory(self.env, self.value());
            sys::napi_close_handle_scope(self.env, scope);
            // A view may grow with its memory: what was given is still there.
            let whole = !data.is_null() && length >= self.start + self.length;
            whole.then(|| Region::new(data.add(self.start), self.length))
        }
    }
}

impl Drop for HeldBuffer {
    fn drop(&mut self) {
        // SAFETY: on the JavaScript thread, and at the latest in the cleanup hook, before the environment goes.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
