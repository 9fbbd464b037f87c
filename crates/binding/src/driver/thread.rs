//! A thread that waits on the descriptor and wakes JavaScript through a ThreadsafeFunction, where libuv's `uv_poll` does
//! not work (Bun, Deno). All I/O stays on the JavaScript thread; this one only waits.

use std::ffi::c_void;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use fdwire_multiplexer::HandOver;
use napi::{Env, Result, check_status, sys};

use super::hooks::Hooks;

/// What a wake-up finds on the JavaScript thread. It belongs to the ThreadsafeFunction, and is dropped by its finalizer.
struct Context {
    hand_over: Arc<HandOver>,
    hooks: Hooks,
}

/// A ThreadsafeFunction, which may be called from any thread.
#[derive(Clone, Copy)]
struct Wake(sys::napi_threadsafe_function);

// SAFETY: that is what a ThreadsafeFunction is for; it is released after the thread was joined.
unsafe impl Send for Wake {}

impl Wake {
    fn new(env: &Env, context: Box<Context>) -> Result<Wake> {
        let name = env.create_string("fdwire")?;
        let mut function = ptr::null_mut();
        let context = Box::into_raw(context).cast();
        // SAFETY: on the JavaScript thread; the finalizer takes the context, or we do where there is no function.
        unsafe {
            let created = check_status!(sys::napi_create_threadsafe_function(
                env.raw(),
                ptr::null_mut(),
                ptr::null_mut(),
                napi::JsValue::raw(&name),
                0,
                1,
                context,
                Some(on_finalize),
                context,
                Some(on_wake),
                &mut function,
            ));
            if let Err(error) = created {
                drop(Box::from_raw(context.cast::<Context>()));
                return Err(error);
            }
        }
        Ok(Wake(function))
    }

    fn call(self) {
        // SAFETY: the function is released only after the calling thread ended.
        unsafe {
            sys::napi_call_threadsafe_function(self.0, ptr::null_mut(), sys::ThreadsafeFunctionCallMode::nonblocking)
        };
    }

    /// On the JavaScript thread, before `release`.
    fn keep_alive(self, env: sys::napi_env, alive: bool) {
        // SAFETY: as the caller vouches.
        unsafe {
            if alive {
                sys::napi_ref_threadsafe_function(env, self.0);
            } else {
                sys::napi_unref_threadsafe_function(env, self.0);
            }
        }
    }

    /// Once, on the JavaScript thread, when no other calls it any more.
    fn release(self) {
        // SAFETY: as the caller vouches.
        unsafe { sys::napi_release_threadsafe_function(self.0, sys::ThreadsafeFunctionReleaseMode::abort) };
    }
}

unsafe extern "C" fn on_wake(env: sys::napi_env, _: sys::napi_value, context: *mut c_void, _: *mut c_void) {
    // The environment goes away.
    if env.is_null() {
        return;
    }
    // SAFETY: the finalizer, which drops the context, runs after the last call.
    let Context { hand_over, hooks } = unsafe { &*context.cast::<Context>() };
    (hooks.turn)();
    hand_over.handled();
}

unsafe extern "C" fn on_finalize(_: sys::napi_env, context: *mut c_void, _: *mut c_void) {
    // SAFETY: the context boxed in `start`; a finalizer runs once.
    drop(unsafe { Box::from_raw(context.cast::<Context>()) });
}

pub(crate) struct Driver {
    env: sys::napi_env,
    wake: Wake,
}

impl Driver {
    pub(super) fn keep_alive(&self, alive: bool) {
        self.wake.keep_alive(self.env, alive);
    }
}

/// The thread, while it runs.
struct Watcher {
    hand_over: Arc<HandOver>,
    interrupt: UnixStream,
    thread: JoinHandle<()>,
    wake: Wake,
    hooks: Hooks,
}

impl Watcher {
    /// Ends the thread: from here on nobody uses the descriptor it watched.
    fn stop(mut self) {
        self.hand_over.close();
        // The other end is open as long as the thread runs, and one byte always fits.
        let _ = self.interrupt.write(&[0]);
        let _ = self.thread.join();
    }
}

unsafe extern "C" fn on_cleanup(data: *mut c_void) {
    // SAFETY: the watcher boxed in `start`; the hook runs once.
    let watcher = unsafe { Box::from_raw(data.cast::<Watcher>()) };
    let Watcher { wake, hooks, .. } = *watcher;
    watcher.stop();
    (hooks.close)();
    wake.release();
}

/// Waits for the descriptor or the interrupt; false when the thread is to end.
fn wait(fd: RawFd, interrupt: RawFd) -> bool {
    let mut fds = [fd, interrupt].map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    loop {
        // SAFETY: the array is valid for its length.
        let count = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, -1) };
        if count >= 0 {
            return fds[1].revents == 0;
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            // Out of memory; giving up would stop every connection for good.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn spawn(fd: RawFd, hand_over: Arc<HandOver>, wake: Wake, hooks: Hooks) -> std::io::Result<Watcher> {
    let (interrupt, interrupted) = UnixStream::pair()?;
    let watching = hand_over.clone();
    let thread = std::thread::Builder::new().name("fdwire".to_owned()).spawn(move || {
        // The whole struct moves in, not its pointer field alone.
        let wake = { wake };
        watching.watch(|| wait(fd, interrupted.as_raw_fd()), || wake.call());
    })?;
    Ok(Watcher {
        hand_over,
        interrupt,
        thread,
        wake,
        hooks,
    })
}

pub(super) fn start(env: &Env, fd: RawFd, hooks: Hooks) -> Result<Driver> {
    let hand_over = Arc::new(HandOver::new());
    let wake = Wake::new(
        env,
        Box::new(Context {
            hand_over: hand_over.clone(),
            hooks,
        }),
    )?;
    wake.keep_alive(env.raw(), false);
    let watcher = match spawn(fd, hand_over, wake, hooks) {
        Ok(watcher) => Box::into_raw(Box::new(watcher)),
        Err(error) => {
            wake.release();
            return Err(napi::Error::new(napi::Status::GenericFailure, error.to_string()));
        }
    };
    // SAFETY: the hook takes the watcher back exactly once, or we do where there is no hook.
    unsafe {
        let added = check_status!(sys::napi_add_env_cleanup_hook(
            env.raw(),
            Some(on_cleanup),
            watcher.cast()
        ));
        if let Err(error) = added {
            Box::from_raw(watcher).stop();
            wake.release();
            return Err(error);
        }
    }
    Ok(Driver { env: env.raw(), wake })
}
