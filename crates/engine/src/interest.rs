//! What a source waits for, what the reactor watches for its sake, and whether that keeps the process alive: one owner,
//! for connections and watches alike.

use std::os::fd::BorrowedFd;

use fdwire_multiplexer::{Event, Interest as Direction, Reactor, Token};

use crate::memory::Memory;
use crate::outcome::Result;
use crate::shared::Shared;

/// What the reactor can be asked to watch.
pub trait Watched {
    /// Whether a chance to write has no edge of its own each time (a pipe): it is asked for anew.
    fn rearms_writes(&self) -> bool {
        false
    }

    /// Registers with the reactor; `again`: changes what was registered before.
    fn register(&self, reactor: Option<&Reactor>, token: Token, direction: Direction, again: bool) -> Result<()>;

    /// Leaves the reactor, which may have forgotten it already.
    fn deregister(&self, reactor: Option<&Reactor>);
}

/// Registers a descriptor.
pub(crate) fn register(
    fd: Option<BorrowedFd<'_>>,
    reactor: Option<&Reactor>,
    token: Token,
    direction: Direction,
    again: bool,
) -> Result<()> {
    let (Some(fd), Some(reactor)) = (fd, reactor) else {
        return Ok(());
    };
    if again {
        reactor.reregister(fd, token, direction)?;
    } else {
        reactor.register(fd, token, direction)?;
    }
    Ok(())
}

/// Undoes that.
pub(crate) fn deregister(fd: Option<BorrowedFd<'_>>, reactor: Option<&Reactor>) {
    if let (Some(fd), Some(reactor)) = (fd, reactor) {
        // It may be gone from the kernel's table already: nothing to undo then.
        let _ = reactor.deregister(fd);
    }
}

/// Of one source.
#[derive(Debug)]
pub(crate) struct Interest {
    token: Token,
    /// Somebody waits for the next chance to read.
    reading: bool,
    /// Somebody waits for the next chance to write: the kernel refused the last one, or the budget did.
    writing: bool,
    /// What the reactor sees is wanted for as long as the source is open, though nobody waits.
    watched: bool,
    /// Keeps the process alive even while nobody waits: an open listener.
    held: bool,
    referenced: bool,
    /// Counted as pending.
    active: bool,
    registered: Option<Direction>,
    /// Writes blocked, and no chance to write has passed unused since.
    writes_block: bool,
}

impl Interest {
    pub(crate) fn new(token: Token) -> Interest {
        Interest {
            token,
            reading: false,
            writing: false,
            watched: false,
            held: false,
            referenced: true,
            active: false,
            registered: None,
            writes_block: false,
        }
    }

    pub(crate) fn writing(&self) -> bool {
        self.writing
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.registered.is_some()
    }

    /// The event to expect of this source alone: input, or room for output.
    pub(crate) fn expected(&self) -> Option<Event> {
        (self.reading != self.writing).then_some(Event {
            token: self.token,
            readable: self.reading,
            read_closed: false,
            writable: self.writing,
        })
    }

    /// Has the next chance to read reported. It stays registered: that is edge-triggered.
    pub(crate) fn await_read<M: Memory>(&mut self, shared: &Shared<M>, source: &impl Watched) -> Result<()> {
        let before = std::mem::replace(&mut self.reading, true);
        let registered = self.register(shared, source);
        if registered.is_err() {
            self.reading = before;
        }
        self.update(shared);
        registered
    }

    /// Has the reactor watch from now on, which keeps nothing alive.
    pub(crate) fn watch<M: Memory>(&mut self, shared: &Shared<M>, source: &impl Watched) -> Result<()> {
        self.watched = true;
        let registered = self.register(shared, source);
        self.watched = registered.is_ok();
        registered
    }

    /// Has the next chance to write reported, or no longer, and the reactor watch for it as long as writes block.
    pub(crate) fn await_write<M: Memory>(
        &mut self,
        shared: &Shared<M>,
        source: &impl Watched,
        writing: bool,
    ) -> Result<()> {
        self.writing = writing;
        let registered = self.register(shared, source);
        if registered.is_err() {
            self.writing = false;
        }
        self.update(shared);
        registered
    }

    /// The turn's budget is used up: the source is reported again in the next turn.
    pub(crate) fn await_turn<M: Memory>(&mut self, shared: &Shared<M>, direction: Direction) {
        match direction {
            Direction::Read => self.reading = true,
            _ => self.writing = true,
        }
        shared.resume(self.token);
        self.update(shared);
    }

    /// Has one report made, also of what is ready already.
    pub(crate) fn arm<M: Memory>(
        &mut self,
        shared: &Shared<M>,
        source: &impl Watched,
        direction: Direction,
    ) -> Result<()> {
        let reactor = shared.reactor().map(|reactor| reactor.borrow());
        source.register(reactor.as_deref(), self.token, direction, self.registered.is_some())?;
        drop(reactor);
        self.registered = Some(direction);
        self.await_armed(shared);
        Ok(())
    }

    /// The report is on its way by itself.
    pub(crate) fn await_armed<M: Memory>(&mut self, shared: &Shared<M>) {
        self.reading = true;
        self.update(shared);
    }

    /// Somebody has had his report: returns whether he waited.
    pub(crate) fn reported<M: Memory>(&mut self, shared: &Shared<M>) -> bool {
        let waited = std::mem::take(&mut self.reading);
        self.update(shared);
        waited
    }

    /// The chance to read is here, for those who wait; the count follows at the next [`Self::update`].
    pub(crate) fn take_reading(&mut self) -> bool {
        std::mem::take(&mut self.reading)
    }

    /// A chance to write passed unused.
    pub(crate) fn unused_write<M: Memory>(&mut self, shared: &Shared<M>, source: &impl Watched) {
        self.writes_block = false;
        // A failure leaves it registered, which costs an event now and then.
        let _ = self.register(shared, source);
    }

    /// Nobody waits for something to read any more.
    pub(crate) fn forget_read<M: Memory>(&mut self, shared: &Shared<M>) {
        self.reading = false;
        self.update(shared);
    }

    /// What is pending keeps the process alive, or does not.
    pub(crate) fn reference<M: Memory>(&mut self, shared: &Shared<M>, referenced: bool) {
        self.referenced = referenced;
        self.update(shared);
    }

    /// The source keeps the process alive as long as it is open.
    pub(crate) fn hold<M: Memory>(&mut self, shared: &Shared<M>) {
        self.held = true;
        self.update(shared);
    }

    /// Nothing is waited for any more, and the reactor forgets the source: before its descriptor closes or moves on.
    pub(crate) fn stop<M: Memory>(&mut self, shared: &Shared<M>, source: &impl Watched) {
        self.reading = false;
        self.writing = false;
        self.watched = false;
        self.held = false;
        self.update(shared);
        if self.registered.take().is_some() {
            let reactor = shared.reactor().map(|reactor| reactor.borrow());
            source.deregister(reactor.as_deref());
        }
    }

    /// Counts the source as pending, or no longer.
    pub(crate) fn update<M: Memory>(&mut self, shared: &Shared<M>) {
        let active = (self.reading || self.writing || self.held) && self.referenced;
        if active != self.active {
            self.active = active;
            shared.activate(active);
        }
    }

    fn register<M: Memory>(&mut self, shared: &Shared<M>, source: &impl Watched) -> Result<()> {
        self.writes_block = self.writing || (self.writes_block && !source.rearms_writes());
        let reading =
            self.reading || self.watched || matches!(self.registered, Some(Direction::Read | Direction::ReadWrite));
        let direction = match (reading, self.writes_block) {
            (true, true) => Direction::ReadWrite,
            (false, true) => Direction::Write,
            (true, false) => Direction::Read,
            (false, false) => {
                if self.registered.take().is_some() {
                    let reactor = shared.reactor().map(|reactor| reactor.borrow());
                    source.deregister(reactor.as_deref());
                }
                return Ok(());
            }
        };
        if self.registered == Some(direction) {
            return Ok(());
        }
        let reactor = shared.reactor().map(|reactor| reactor.borrow());
        source.register(reactor.as_deref(), self.token, direction, self.registered.is_some())?;
        self.registered = Some(direction);
        Ok(())
    }
}
