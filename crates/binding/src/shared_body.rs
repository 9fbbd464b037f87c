//! A JavaScript buffer that waits to be sent.

use std::ptr;

use napi::{Env, Result, check_status, sys};

/// Holds the buffer, and where its memory was when that was last asked: JavaScript may have transferred it away since.
pub(crate) struct SharedBody {
    env: sys::napi_env,
    reference: sys::napi_ref,
    data: *const u8,
    length: usize,
}

impl SharedBody {
    pub(crate) fn new(env: &Env, view: sys::napi_value) -> Result<SharedBody> {
        let mut reference = ptr::null_mut();
        // SAFETY: called with a live value of this environment.
        unsafe { check_status!(sys::napi_create_reference(env.raw(), view, 1, &mut reference))? };
        let mut body = SharedBody {
            env: env.raw(),
            reference,
            data: ptr::null(),
            length: 0,
        };
        (body.data, body.length) = body.memory();
        Ok(body)
    }

    /// Finds the memory again, before a write; false where it is gone.
    pub(crate) fn refresh(&mut self) -> bool {
        let (data, length) = self.memory();
        let whole = length == self.length;
        self.data = if whole { data } else { ptr::null() };
        whole
    }

    fn memory(&self) -> (*const u8, usize) {
        let mut scope = ptr::null_mut();
        let mut view = ptr::null_mut();
        let mut data = ptr::null_mut();
        let mut length = 0;
        // SAFETY: on the JavaScript thread; out-pointers that are not wanted may be null, and a call that fails leaves
        // ours as they were.
        unsafe {
            sys::napi_open_handle_scope(self.env, &mut scope);
            sys::napi_get_reference_value(self.env, self.reference, &mut view);
            sys::napi_get_typedarray_info(
                self.env,
                view,
                ptr::null_mut(),
                &mut length,
                &mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            );
            sys::napi_close_handle_scope(self.env, scope);
        }
        (data.cast(), length)
    }
}

impl AsRef<[u8]> for SharedBody {
    /// Good until JavaScript runs again.
    fn as_ref(&self) -> &[u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: the memory is the buffer's: JavaScript has not run since `new` or `refresh` asked for it.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

impl Drop for SharedBody {
    fn drop(&mut self) {
        // SAFETY: on the JavaScript thread, and at the latest in the cleanup hook, before the environment goes.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
