//! A JavaScript buffer that waits to be sent, or to be filled.

use std::{ptr, slice};

use napi::{Result, check_status, sys};

/// Where the memory of a `Uint8Array` is, and how long; null where `view` is none, or its memory was transferred away.
///
/// # Safety
/// On the JavaScript thread, with a value of an open handle scope of `env`.
pub(crate) unsafe fn memory(env: sys::napi_env, view: sys::napi_value) -> (*mut u8, usize) {
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

/// Holds the buffer, and where its memory was when that was last asked: JavaScript may have transferred it away since.
pub(crate) struct HeldBuffer {
    env: sys::napi_env,
    reference: sys::napi_ref,
    data: *mut u8,
    length: usize,
}

impl HeldBuffer {
    pub(crate) fn new(env: sys::napi_env, view: sys::napi_value) -> Result<HeldBuffer> {
        let mut reference = ptr::null_mut();
        // SAFETY: called with a live value of this environment.
        unsafe { check_status!(sys::napi_create_reference(env, view, 1, &mut reference))? };
        let mut buffer = HeldBuffer {
            env,
            reference,
            data: ptr::null_mut(),
            length: 0,
        };
        (buffer.data, buffer.length) = buffer.memory();
        Ok(buffer)
    }

    /// Finds the memory again, before it is used; false where it is gone.
    pub(crate) fn refresh(&mut self) -> bool {
        let (data, length) = self.memory();
        let whole = length == self.length;
        self.data = if whole { data } else { ptr::null_mut() };
        whole
    }

    fn memory(&self) -> (*mut u8, usize) {
        let mut scope = ptr::null_mut();
        let mut view = ptr::null_mut();
        // SAFETY: on the JavaScript thread; a call that fails leaves its out-pointer null.
        unsafe {
            sys::napi_open_handle_scope(self.env, &mut scope);
            sys::napi_get_reference_value(self.env, self.reference, &mut view);
            let memory = memory(self.env, view);
            sys::napi_close_handle_scope(self.env, scope);
            memory
        }
    }
}

impl AsRef<[u8]> for HeldBuffer {
    /// Good until JavaScript runs again.
    fn as_ref(&self) -> &[u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: the memory is the buffer's: JavaScript has not run since `new` or `refresh` asked for it.
        unsafe { slice::from_raw_parts(self.data, self.length) }
    }
}

impl AsMut<[u8]> for HeldBuffer {
    /// Good until JavaScript runs again.
    fn as_mut(&mut self) -> &mut [u8] {
        if self.data.is_null() {
            return &mut [];
        }
        // SAFETY: as in `as_ref`; nothing else on the native side uses the memory meanwhile.
        unsafe { slice::from_raw_parts_mut(self.data, self.length) }
    }
}

impl Drop for HeldBuffer {
    fn drop(&mut self) {
        // SAFETY: on the JavaScript thread, and at the latest in the cleanup hook, before the environment goes.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
