#[cfg(loom)]
use loom::sync::{Condvar, Mutex};
use std::sync::PoisonError;
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex};

/// Whose move it is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// The watching thread waits.
    Waiting,
    /// The handling thread was woken and has not handled the events yet.
    Woken,
    /// There is to be no further move.
    Closed,
}

/// Takes turns between a thread that waits for events and the one that handles them: level-triggered readiness would wake
/// the second again and again while it has not come to them.
#[derive(Debug)]
pub struct HandOver {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for HandOver {
    fn default() -> Self {
        Self::new()
    }
}

impl HandOver {
    /// The watching thread has the first move.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State::Waiting),
            changed: Condvar::new(),
        }
    }

    /// What the watching thread does: `wait`s for events, `wake`s the other, and waits again when that has handled them.
    /// It ends when `wait` returns false, or soon after [`close`](Self::close).
    pub fn watch(&self, mut wait: impl FnMut() -> bool, mut wake: impl FnMut()) {
        while wait() && self.pass(State::Woken) {
            wake();
            if !self.wait_handled() {
                return;
            }
        }
    }

    /// On the handling thread: the events are handled.
    pub fn handled(&self) {
        self.pass(State::Waiting);
    }

    /// On the handling thread: the other is to end. It may be inside `wait`, which has to be interrupted after this call.
    pub fn close(&self) {
        self.pass(State::Closed);
    }

    /// Moves to `next`; false where it is closed, which it stays.
    fn pass(&self, next: State) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Closed {
            return false;
        }
        *state = next;
        self.changed.notify_one();
        true
    }

    /// Waits until the events are handled; false where it is closed.
    fn wait_handled(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while *state == State::Woken {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        *state == State::Waiting
    }
}
