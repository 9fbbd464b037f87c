//! One `uv_poll_t` on the reactor's descriptor: no thread, no hop.
//!
//! libuv is not linked: its functions are those of the running Node, found by name, and the handle is as large as that
//! libuv says. An open handle at the end of a worker aborts the process, so an asynchronous cleanup hook closes it and
//! reports done from the close callback.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{CStr, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;

use napi::{Env, Result, Status, check_status, sys};

use super::Driver;
use crate::environment;

const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;

type Handle = *mut c_void;

struct Functions {
    poll_init: unsafe extern "C" fn(*mut sys::uv_loop_s, Handle, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(Handle, c_int, unsafe extern "C" fn(Handle, c_int, c_int)) -> c_int,
    close: unsafe extern "C" fn(Handle, unsafe extern "C" fn(Handle)),
    reference: unsafe extern "C" fn(Handle),
    unreference: unsafe extern "C" fn(Handle),
    set_data: unsafe extern "C" fn(Handle, *mut c_void),
    handle_size: unsafe extern "C" fn(c_int) -> usize,
}

/// Looks a libuv function up in the running program.
///
/// # Safety
/// `F` must be the function's type.
unsafe fn symbol<F: Copy>(name: &CStr) -> Result<F> {
    // SAFETY: a plain look-up of a NUL-terminated name.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if address.is_null() {
        return Err(napi::Error::new(
            Status::GenericFailure,
            format!("{} not found", name.to_string_lossy()),
        ));
    }
    // SAFETY: a function pointer has the size of a data pointer here, and the caller vouches for its type.
    Ok(unsafe { std::mem::transmute_copy(&address) })
}

impl Functions {
    fn find() -> Result<Functions> {
        // SAFETY: the types are those of libuv 1's stable interface.
        unsafe {
            Ok(Functions {
                poll_init: symbol(c"uv_poll_init")?,
                poll_start: symbol(c"uv_poll_start")?,
                close: symbol(c"uv_close")?,
                reference: symbol(c"uv_ref")?,
                unreference: symbol(c"uv_unref")?,
                set_data: symbol(c"uv_handle_set_data")?,
                handle_size: symbol(c"uv_handle_size")?,
            })
        }
    }
}

/// What the handle's data points to, from start to close callback.
struct Watcher {
    functions: Functions,
    handle: Handle,
    layout: Layout,
    hook: sys::napi_async_cleanup_hook_handle,
}

struct UvDriver {
    watcher: *const Watcher,
}

impl Driver for UvDriver {
    fn keep_alive(&self, alive: bool) {
        // SAFETY: the environment, and this driver with it, goes away in the cleanup hook, before the handle is closed
        // and the watcher freed.
        unsafe {
            let Watcher { functions, handle, .. } = &*self.watcher;
            if alive {
                (functions.reference)(*handle)
            } else {
                (functions.unreference)(*handle)
            }
        }
    }
}

unsafe extern "C" fn on_poll(_: Handle, _: c_int, _: c_int) {
    environment::turn();
}

unsafe extern "C" fn on_close(handle: Handle) {
    // SAFETY: the data is the watcher boxed in `start`, and libuv is done with the handle.
    unsafe {
        // Every handle of this libuv answers alike, so the function is looked up once more rather than kept globally.
        let Ok(get_data) = symbol::<unsafe extern "C" fn(Handle) -> *mut c_void>(c"uv_handle_get_data") else {
            return;
        };
        let watcher = Box::from_raw(get_data(handle).cast::<Watcher>());
        dealloc(watcher.handle.cast(), watcher.layout);
        sys::napi_remove_async_cleanup_hook(watcher.hook);
    }
}

unsafe extern "C" fn on_cleanup(_: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    environment::shut_down();
    // SAFETY: the watcher lives until `on_close`, which this call brings about.
    unsafe {
        let watcher = data.cast::<Watcher>();
        ((*watcher).functions.close)((*watcher).handle, on_close);
    }
}

pub(super) fn start(env: &Env, fd: RawFd) -> Result<Box<dyn Driver>> {
    let functions = Functions::find()?;
    let failed = |call: &str, code: c_int| napi::Error::new(Status::GenericFailure, format!("{call} failed: {code}"));
    // SAFETY: the handle's memory is as large as libuv asks for and stays where it is until the close callback; all
    // calls are made on the loop's thread.
    unsafe {
        let layout = Layout::from_size_align((functions.handle_size)(UV_POLL), align_of::<u128>())
            .map_err(|error| napi::Error::new(Status::GenericFailure, error.to_string()))?;
        let handle: Handle = alloc_zeroed(layout).cast();
        if handle.is_null() {
            return Err(napi::Error::new(Status::GenericFailure, "out of memory".to_owned()));
        }
        let code = (functions.poll_init)(env.get_uv_event_loop()?, handle, fd);
        if code != 0 {
            dealloc(handle.cast(), layout);
            return Err(failed("uv_poll_init", code));
        }
        let watcher = Box::into_raw(Box::new(Watcher {
            functions,
            handle,
            layout,
            hook: ptr::null_mut(),
        }));
        let functions = &(*watcher).functions;
        (functions.set_data)(handle, watcher.cast());
        check_status!(sys::napi_add_async_cleanup_hook(
            env.raw(),
            Some(on_cleanup),
            watcher.cast(),
            &mut (*watcher).hook
        ))?;
        let code = (functions.poll_start)(handle, UV_READABLE, on_poll);
        (functions.unreference)(handle);
        if code != 0 {
            return Err(failed("uv_poll_start", code));
        }
        Ok(Box::new(UvDriver { watcher }))
    }
}
