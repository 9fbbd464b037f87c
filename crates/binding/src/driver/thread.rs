//! A thread that waits on the reactor's descriptor and wakes JavaScript through a ThreadsafeFunction, where libuv's
//! `uv_poll` does not work (Bun, Deno). All I/O stays on the JavaScript thread; this one only waits.

use std::ffi::c_void;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use napi::{Env, Result, check_status, sys};

use super::Driver;
use crate::environment;

/// Whose move it is.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The thread waits on the descriptor.
    Waiting,
    /// JavaScript was woken and has not handled the events yet.
    Woken,
    /// The environment goes away.
    Closing,
}

struct Baton {
    state: Mutex<State>,
    changed: Condvar,
}

impl Baton {
    /// Moves to `next`, unless the environment is closing.
    fn pass(&self, next: State) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != State::Closing {
            *state = next;
        }
        self.changed.notify_all();
    }

    /// Waits while JavaScript has events to handle; false when the environment is closing.
    fn wait_handled(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while *state == State::Woken {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        *state != State::Closing
    }
}

/// The pointer of a ThreadsafeFunction, which may be called from any thread.
#[derive(Clone, Copy)]
struct Wake(sys::napi_threadsafe_function);

// SAFETY: that is what a ThreadsafeFunction is for; it is released after the thread was joined.
unsafe impl Send for Wake {}

impl Wake {
    fn call(self) {
        // SAFETY: the function is released only after the calling thread ended.
        unsafe {
            sys::napi_call_threadsafe_function(self.0, ptr::null_mut(), sys::ThreadsafeFunctionCallMode::nonblocking)
        };
    }
}

struct ThreadDriver {
    env: sys::napi_env,
    wake: Wake,
}

impl Driver for ThreadDriver {
    fn keep_alive(&self, alive: bool) {
        // SAFETY: on the JavaScript thread, and before the cleanup hook releases the function.
        unsafe {
            if alive {
                sys::napi_ref_threadsafe_function(self.env, self.wake.0);
            } else {
                sys::napi_unref_threadsafe_function(self.env, self.wake.0);
            }
        }
    }
}

/// What the cleanup hook needs.
struct Watcher {
    baton: Arc<Baton>,
    wake: Wake,
    interrupt: UnixStream,
    thread: Option<JoinHandle<()>>,
}

unsafe extern "C" fn on_wake(env: sys::napi_env, _: sys::napi_value, context: *mut c_void, _: *mut c_void) {
    if env.is_null() {
        return;
    }
    environment::turn();
    // SAFETY: the context is the baton, kept by the watcher until the function is released.
    unsafe { &*context.cast::<Baton>() }.pass(State::Waiting);
}

unsafe extern "C" fn on_cleanup(data: *mut c_void) {
    environment::shut_down();
    // SAFETY: the watcher boxed in `start`; the hook runs once.
    let mut watcher = unsafe { Box::from_raw(data.cast::<Watcher>()) };
    watcher.baton.pass(State::Closing);
    // The other end is open as long as the thread runs, and one byte always fits.
    let _ = watcher.interrupt.write(&[0]);
    if let Some(thread) = watcher.thread.take() {
        let _ = thread.join();
    }
    // SAFETY: nobody calls it any more.
    unsafe {
        sys::napi_release_threadsafe_function(watcher.wake.0, sys::ThreadsafeFunctionReleaseMode::abort);
    }
}

/// Waits for the reactor or the interrupt; false when the wait is to end.
fn wait(fd: RawFd, interrupt: RawFd) -> bool {
    let mut fds = [fd, interrupt].map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    loop {
        // SAFETY: the array is valid for its length, and both descriptors outlive the thread.
        let count = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, -1) };
        if count >= 0 {
            return fds[1].revents == 0;
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return false;
        }
    }
}

pub(super) fn start(env: &Env, fd: RawFd) -> Result<Box<dyn Driver>> {
    let failed = |error: std::io::Error| napi::Error::new(napi::Status::GenericFailure, error.to_string());
    let (interrupt, interrupted) = UnixStream::pair().map_err(failed)?;
    let baton = Arc::new(Baton {
        state: Mutex::new(State::Waiting),
        changed: Condvar::new(),
    });
    let name = env.create_string("fdwire")?;
    let mut function = ptr::null_mut();
    // SAFETY: on the JavaScript thread; the context outlives the function, which is released in the cleanup hook.
    unsafe {
        check_status!(sys::napi_create_threadsafe_function(
            env.raw(),
            ptr::null_mut(),
            ptr::null_mut(),
            napi::JsValue::raw(&name),
            0,
            1,
            ptr::null_mut(),
            None,
            Arc::as_ptr(&baton).cast_mut().cast(),
            Some(on_wake),
            &mut function,
        ))?;
        check_status!(sys::napi_unref_threadsafe_function(env.raw(), function))?;
    }
    let wake = Wake(function);
    let waiting = baton.clone();
    let thread = std::thread::Builder::new()
        .name("fdwire".to_owned())
        .spawn(move || {
            // The whole struct moves in, not its pointer field alone.
            let wake = { wake };
            while wait(fd, interrupted.as_raw_fd()) {
                waiting.pass(State::Woken);
                wake.call();
                if !waiting.wait_handled() {
                    return;
                }
            }
        })
        .map_err(failed)?;
    let watcher = Box::into_raw(Box::new(Watcher {
        baton,
        wake,
        interrupt,
        thread: Some(thread),
    }));
    // SAFETY: the hook takes the watcher back exactly once.
    unsafe {
        check_status!(sys::napi_add_env_cleanup_hook(
            env.raw(),
            Some(on_cleanup),
            watcher.cast()
        ))?
    };
    Ok(Box::new(ThreadDriver { env: env.raw(), wake }))
}
