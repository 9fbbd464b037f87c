//! A typed array that the JavaScript layer keeps to itself, and shares with this thread's native side.

use std::ptr;

use napi::{Result, Status, check_status, sys};

/// A number that JavaScript has typed arrays of.
pub(crate) trait Element: Copy {
    const TYPE: sys::napi_typedarray_type;
}

impl Element for u8 {
    const TYPE: sys::napi_typedarray_type = sys::TypedarrayType::uint8_array;
}

impl Element for i32 {
    const TYPE: sys::napi_typedarray_type = sys::TypedarrayType::int32_array;
}

impl Element for u32 {
    const TYPE: sys::napi_typedarray_type = sys::TypedarrayType::uint32_array;
}

impl Element for f64 {
    const TYPE: sys::napi_typedarray_type = sys::TypedarrayType::float64_array;
}

/// Holds the array by a reference, and its memory by address and length.
///
/// The memory stays where it is because the array is held and its `ArrayBuffer` is never transferred or resized: no user
/// code gets at it. The one array of which users get views (where small messages are received) is looked at by
/// JavaScript right before each call that writes to it, and replaced where its memory was transferred away.
pub(crate) struct HeldArray<T> {
    env: sys::napi_env,
    reference: sys::napi_ref,
    data: *mut T,
    length: usize,
}

impl<T: Element> HeldArray<T> {
    /// # Safety
    /// On the JavaScript thread, with a value of an open handle scope of `env`.
    pub(crate) unsafe fn new(env: sys::napi_env, array: sys::napi_value) -> Result<HeldArray<T>> {
        let mut kind = 0;
        let mut length = 0;
        let mut data = ptr::null_mut();
        let mut reference = ptr::null_mut();
        // SAFETY: as the caller vouches. Out-pointers that are not wanted may be null.
        unsafe {
            check_status!(sys::napi_get_typedarray_info(
                env,
                array,
                &mut kind,
                &mut length,
                &mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            ))?;
            if kind != T::TYPE {
                return Err(napi::Error::new(Status::InvalidArg, "another typed array".to_owned()));
            }
            check_status!(sys::napi_create_reference(env, array, 1, &mut reference))?;
        }
        Ok(HeldArray {
            env,
            reference,
            data: data.cast(),
            length,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Where the elements are, to be read and written on this thread while JavaScript does not run.
    pub(crate) fn memory(&self) -> *mut [T] {
        ptr::slice_from_raw_parts_mut(self.data, self.length)
    }

    /// Does nothing beyond the end.
    pub(crate) fn set(&self, index: usize, value: T) {
        if index < self.length {
            // SAFETY: within the array, whose memory stays where it is; JavaScript, which runs on this thread, does not
            // use it meanwhile.
            unsafe { self.data.add(index).write(value) }
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<T> {
        // SAFETY: as in `set`.
        (index < self.length).then(|| unsafe { self.data.add(index).read() })
    }
}

impl<T> Drop for HeldArray<T> {
    fn drop(&mut self) {
        // SAFETY: on the JavaScript thread, and at the latest in the cleanup hook, before the environment goes.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
