//! One `uv_poll_t` on the descriptor: no thread, no hop.
//!
//! libuv is not linked: its functions are those of the running Node, found by name, and the handle is as large as that
//! libuv says. An open handle at the end of a worker aborts the process, so an asynchronous cleanup hook closes it and
//! reports done from the close callback.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{CStr, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;

use napi::{Env, Result, Status, check_status, sys};

use super::hooks::Hooks;

const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;

type Handle = *mut c_void;

#[derive(Clone, Copy)]
struct Functions {
    poll_init: unsafe extern "C" fn(*mut sys::uv_loop_s, Handle, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(Handle, c_int, unsafe extern "C" fn(Handle, c_int, c_int)) -> c_int,
    close: unsafe extern "C" fn(Handle, unsafe extern "C" fn(Handle)),
    reference: unsafe extern "C" fn(Handle),
    unreference: unsafe extern "C" fn(Handle),
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
        return Err(failed(format!("{} not found", name.to_string_lossy())));
    }
    // SAFETY: a function pointer has the size of a data pointer here, and the caller vouches for its type.
    Ok(unsafe { std::mem::transmute_copy(&address) })
}

fn failed(reason: String) -> napi::Error {
    napi::Error::new(Status::GenericFailure, reason)
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
                handle_size: symbol(c"uv_handle_size")?,
            })
        }
    }
}

/// What is ours of one allocation; the libuv handle follows it, as aligned as `malloc` would have it.
#[repr(C, align(16))]
struct Watcher {
    functions: Functions,
    hooks: Hooks,
    layout: Layout,
    /// Null while there is none.
    hook: sys::napi_async_cleanup_hook_handle,
}

impl Watcher {
    fn allocate(functions: Functions, hooks: Hooks) -> Result<*mut Watcher> {
        // SAFETY: a plain call of libuv's.
        let size = size_of::<Watcher>() + unsafe { (functions.handle_size)(UV_POLL) };
        let layout = Layout::from_size_align(size, align_of::<Watcher>()).map_err(|error| failed(error.to_string()))?;
        // SAFETY: the size is not zero, and the memory is large and aligned enough for a Watcher.
        unsafe {
            let watcher: *mut Watcher = alloc_zeroed(layout).cast();
            if watcher.is_null() {
                return Err(failed("out of memory".to_owned()));
            }
            watcher.write(Watcher {
                functions,
                hooks,
                layout,
                hook: ptr::null_mut(),
            });
            Ok(watcher)
        }
    }

    /// # Safety
    /// `watcher` is one of `allocate`'s, and libuv knows nothing of its handle, or no more.
    unsafe fn free(watcher: *mut Watcher) {
        // SAFETY: as the caller vouches; a Watcher has nothing to drop.
        unsafe { dealloc(watcher.cast(), (*watcher).layout) };
    }

    /// # Safety
    /// `watcher` is one of `allocate`'s.
    unsafe fn handle(watcher: *mut Watcher) -> Handle {
        // SAFETY: the handle is behind the Watcher, in the same allocation.
        unsafe { watcher.add(1).cast() }
    }

    /// # Safety
    /// `handle` is one of `handle`'s.
    unsafe fn of(handle: Handle) -> *mut Watcher {
        // SAFETY: the Watcher is before the handle, in the same allocation.
        unsafe { handle.cast::<Watcher>().sub(1) }
    }
}

pub(crate) struct Driver {
    watcher: *mut Watcher,
}

impl Driver {
    pub(super) fn keep_alive(&self, alive: bool) {
        // SAFETY: on the loop's thread. The watcher is freed after `Hooks::close` returned, when the driver is of no use
        // any more; until then libuv takes the calls, for a handle that is being closed too.
        unsafe {
            let Functions {
                reference, unreference, ..
            } = (*self.watcher).functions;
            (if alive { reference } else { unreference })(Watcher::handle(self.watcher));
        }
    }
}

unsafe extern "C" fn on_poll(handle: Handle, _: c_int, _: c_int) {
    // SAFETY: libuv has the handle, so its watcher is not freed.
    let hooks = unsafe { (*Watcher::of(handle)).hooks };
    (hooks.turn)();
}

/// Of a handle that never started.
unsafe extern "C" fn on_close_unused(handle: Handle) {
    // SAFETY: libuv is done with the handle.
    unsafe { Watcher::free(Watcher::of(handle)) };
}

unsafe extern "C" fn on_close(handle: Handle) {
    // SAFETY: libuv is done with the handle, and the cleanup hook is removed once.
    unsafe {
        let watcher = Watcher::of(handle);
        let Watcher { hooks, hook, .. } = *watcher;
        (hooks.close)();
        Watcher::free(watcher);
        sys::napi_remove_async_cleanup_hook(hook);
    }
}

unsafe extern "C" fn on_cleanup(_: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: the watcher lives until `on_close`, which this call brings about; the hook runs once.
    unsafe {
        let watcher = data.cast::<Watcher>();
        ((*watcher).functions.close)(Watcher::handle(watcher), on_close);
    }
}

/// The descriptor of the event loop itself, readable when the loop has something to do.
pub(super) fn backend(env: &Env) -> Option<RawFd> {
    // SAFETY: libuv's type, and a live loop of this thread.
    unsafe {
        let backend_fd = symbol::<unsafe extern "C" fn(*const sys::uv_loop_s) -> c_int>(c"uv_backend_fd").ok()?;
        let fd = backend_fd(env.get_uv_event_loop().ok()?);
        (fd >= 0).then_some(fd)
    }
}

pub(super) fn start(env: &Env, fd: RawFd, hooks: Hooks) -> Result<Driver> {
    let functions = Functions::find()?;
    let event_loop = env.get_uv_event_loop()?;
    let watcher = Watcher::allocate(functions, hooks)?;
    // SAFETY: all calls are made on the loop's thread; the handle's memory is as large as libuv asks for and stays where
    // it is until the close callback. Where `uv_poll_init` fails libuv does not know the handle.
    unsafe {
        let handle = Watcher::handle(watcher);
        let code = (functions.poll_init)(event_loop, handle, fd);
        if code != 0 {
            Watcher::free(watcher);
            return Err(failed(format!("uv_poll_init failed: {code}")));
        }
        if let Err(error) = watch(env, watcher) {
            (functions.close)(handle, on_close_unused);
            return Err(error);
        }
    }
    Ok(Driver { watcher })
}

/// Starts the handle, and sees to its end.
///
/// # Safety
/// `watcher` has an initialised handle.
unsafe fn watch(env: &Env, watcher: *mut Watcher) -> Result<()> {
    // SAFETY: as the caller vouches; the watcher outlives the hook, which `on_close` removes.
    unsafe {
        let handle = Watcher::handle(watcher);
        let Functions {
            poll_start,
            unreference,
            ..
        } = (*watcher).functions;
        let code = poll_start(handle, UV_READABLE, on_poll);
        if code != 0 {
            return Err(failed(format!("uv_poll_start failed: {code}")));
        }
        unreference(handle);
        let mut hook = ptr::null_mut();
        check_status!(sys::napi_add_async_cleanup_hook(
            env.raw(),
            Some(on_cleanup),
            watcher.cast(),
            &mut hook
        ))?;
        (*watcher).hook = hook;
        Ok(())
    }
}
