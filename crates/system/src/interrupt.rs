//! What ends the blocking waits of a thread that has to end.

use std::cell::RefCell;
use std::fmt::Debug;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

/// Where nothing wakes a wait, it looks this often whether its thread must end.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// Where something does, it looks this often all the same: who wakes may believe that to be under way already, as an event
/// loop does that was woken and did not get to run.
pub(crate) const UNWOKEN: Duration = Duration::from_millis(500);

/// Tells a thread's blocking waits that the thread must end. [`install`] it on that thread.
pub trait Interrupt: Debug {
    /// Becomes readable when [`must_end`](Self::must_end) may have changed. `None`: nothing does, and a wait has to ask
    /// every 100 ms.
    fn wake_up(&self) -> Option<BorrowedFd<'_>>;

    /// Makes the descriptor unreadable until the next change.
    fn clear(&self);

    /// Whether the thread must end. Asked in blocking waits only.
    fn must_end(&self) -> bool;
}

thread_local! {
    static INSTALLED: RefCell<Option<Rc<dyn Interrupt>>> = const { RefCell::new(None) };
}

/// Makes every blocking wait of this thread heed `interrupt`; `None` takes it away. Returns the one before.
pub fn install(interrupt: Option<Rc<dyn Interrupt>>) -> Option<Rc<dyn Interrupt>> {
    INSTALLED.with(|installed| installed.replace(interrupt))
}

/// The one of this thread. None while the thread's own variables are being destroyed.
pub(crate) fn installed() -> Option<Rc<dyn Interrupt>> {
    INSTALLED
        .try_with(|installed| installed.borrow().clone())
        .ok()
        .flatten()
}
