//! What a driver is given.

/// What a driver calls on the JavaScript thread.
#[derive(Clone, Copy)]
pub(crate) struct Hooks {
    /// The descriptor is readable.
    pub(crate) turn: fn(),
    /// The JavaScript environment goes away and the descriptor is watched no more: it is closed now, not earlier.
    pub(crate) close: fn(),
}
