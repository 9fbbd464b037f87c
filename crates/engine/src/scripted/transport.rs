//! The transport, its descriptors and the memory that is read into.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use fdwire_ancillary::{ControlBuffer, Errno, Readiness};
use fdwire_multiplexer::{Interest as Direction, Reactor, Token};

use crate::interest::Watched;
use crate::memory::{Bytes, Memory, Offer, Region};
use crate::outcome::{Error, Result};
use crate::transport::{Arrived, Kind, Transport};

/// A descriptor that is counted as long as it is open.
#[derive(Debug)]
pub struct Descriptor(Rc<Cell<usize>>);

impl Descriptor {
    fn new(open: &Rc<Cell<usize>>) -> Descriptor {
        open.set(open.get() + 1);
        Descriptor(open.clone())
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// What one write of the peer brought: a read goes past it, unless it carries descriptors.
#[derive(Debug, Default)]
pub struct Unit {
    /// Its bytes, at least one.
    pub bytes: Vec<u8>,
    /// How many descriptors came with the first of them.
    pub fds: usize,
    /// They were lost on the way.
    pub lost: bool,
}

#[derive(Debug, Default)]
struct State {
    input: VecDeque<Unit>,
    ended: bool,
    /// What the next calls fail with, where they do.
    read_errors: VecDeque<Errno>,
    write_errors: VecDeque<Errno>,
    register_errors: VecDeque<Errno>,
    /// How many bytes the next writes take; none are refused.
    room: VecDeque<usize>,
    output: Vec<u8>,
    /// How many descriptors left, and at which byte.
    sent: Vec<(usize, usize)>,
    open: Rc<Cell<usize>>,
}

/// The other end of a connection, and what befalls it.
#[derive(Clone, Debug, Default)]
pub struct Script(Rc<RefCell<State>>);

impl Script {
    /// Nothing is there, and everything is taken.
    pub fn new() -> Script {
        Script::default()
    }

    /// The peer wrote this.
    pub fn push(&self, unit: Unit) {
        self.0.borrow_mut().input.push_back(unit);
    }

    /// The peer closed.
    pub fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// A read fails so.
    pub fn fail_read(&self, errno: Errno) {
        self.0.borrow_mut().read_errors.push_back(errno);
    }

    /// A write fails so.
    pub fn fail_write(&self, errno: Errno) {
        self.0.borrow_mut().write_errors.push_back(errno);
    }

    /// A registration fails so.
    pub fn fail_register(&self, errno: Errno) {
        self.0.borrow_mut().register_errors.push_back(errno);
    }

    /// Nothing fails from here on, and everything is taken.
    pub fn relent(&self) {
        let mut state = self.0.borrow_mut();
        state.read_errors.clear();
        state.write_errors.clear();
        state.register_errors.clear();
        state.room.clear();
    }

    /// A write takes so many bytes; 0: it is refused.
    pub fn take(&self, bytes: usize) {
        self.0.borrow_mut().room.push_back(bytes);
    }

    /// What was written, and where how many descriptors went.
    pub fn output(&self) -> (Vec<u8>, Vec<(usize, usize)>) {
        let state = self.0.borrow();
        (state.output.clone(), state.sent.clone())
    }

    /// How many descriptors are open.
    pub fn open(&self) -> usize {
        self.0.borrow().open.get()
    }

    /// A descriptor of the caller's.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.0.borrow().open)
    }
}

impl Watched for Script {
    fn register(&self, _: Option<&Reactor>, _: Token, _: Direction, _: bool) -> Result<()> {
        match self.0.borrow_mut().register_errors.pop_front() {
            Some(errno) => Err(Error::system("epoll_ctl", errno)),
            None => Ok(()),
        }
    }

    fn deregister(&self, _: Option<&Reactor>) {}
}

impl Transport for Script {
    type Fd = Descriptor;
    type Borrowed<'a> = &'a Descriptor;

    fn kind(&self) -> Kind {
        Kind::Unix
    }

    fn receive(&mut self, buffers: &[Region<'_>], _: &mut ControlBuffer) -> Result<Arrived<Descriptor>> {
        let state = &mut *self.0.borrow_mut();
        if let Some(errno) = state.read_errors.pop_front() {
            return Err(Error::system("recvmsg", errno));
        }
        let mut arrived = Arrived {
            bytes: 0,
            fds: Vec::new(),
            truncated: false,
            control: false,
        };
        if state.input.is_empty() && !state.ended {
            return Err(Error::system("recvmsg", Errno::EAGAIN));
        }
        let mut rooms = buffers.iter().copied();
        let mut room = rooms.next();
        while let (Some(unit), Some(free)) = (state.input.front_mut(), room) {
            let count = unit.bytes.len().min(free.len());
            free.write(&unit.bytes[..count]);
            arrived.bytes += count;
            room = if count == free.len() {
                rooms.next()
            } else {
                free.get(count..free.len())
            };
            let carries = unit.fds > 0 || unit.lost;
            if carries && count > 0 {
                arrived.control = true;
                arrived.truncated = std::mem::take(&mut unit.lost);
                let fds = std::mem::take(&mut unit.fds);
                if !arrived.truncated {
                    arrived.fds = (0..fds).map(|_| Descriptor::new(&state.open)).collect();
                }
            }
            unit.bytes.drain(..count);
            let used_up = unit.bytes.is_empty();
            if used_up {
                state.input.pop_front();
            }
            // A read ends with the write that carried descriptors, as far as there is room for that.
            if arrived.control && used_up {
                break;
            }
        }
        Ok(arrived)
    }

    fn send(&mut self, bytes: &[Bytes<'_>], fds: &[&Descriptor]) -> Result<usize> {
        let state = &mut *self.0.borrow_mut();
        if let Some(errno) = state.write_errors.pop_front() {
            return Err(Error::system("sendmsg", errno));
        }
        let mut all = Vec::new();
        for bytes in bytes {
            bytes.append_to(&mut all);
        }
        let room = state.room.pop_front().unwrap_or(usize::MAX);
        if room == 0 {
            return Err(Error::system("sendmsg", Errno::EAGAIN));
        }
        if !fds.is_empty() {
            state.sent.push((state.output.len(), fds.len()));
        }
        all.truncate(room);
        state.output.extend_from_slice(&all);
        Ok(all.len())
    }

    fn wait(&mut self, directions: Readiness, _: Option<Duration>) -> Result<bool> {
        let state = &mut *self.0.borrow_mut();
        let readable = directions.readable && (!state.input.is_empty() || state.ended);
        let writable = directions.writable && state.room.front().is_none_or(|&room| room > 0);
        if directions.writable && !writable {
            // The time is over; the next wait finds more.
            state.room.pop_front();
        }
        Ok(readable || writable)
    }

    fn borrow(fd: &Descriptor) -> &Descriptor {
        fd
    }

    fn duplicate(fd: &Descriptor) -> Result<Descriptor> {
        Ok(Descriptor::new(&fd.0))
    }
}

/// What nobody wrote yet.
const POISON: u8 = 0xee;

/// Memory that its owner may take away at any time, and that cannot always be held.
#[derive(Clone, Debug)]
pub struct Loan {
    bytes: Rc<RefCell<Option<Vec<u8>>>>,
    can_be_held: bool,
}

impl Loan {
    /// Of so many bytes.
    pub fn new(length: usize, can_be_held: bool) -> Loan {
        Loan {
            bytes: Rc::new(RefCell::new(Some(vec![POISON; length]))),
            can_be_held,
        }
    }

    /// Of these bytes.
    pub fn of(bytes: Vec<u8>) -> Loan {
        Loan {
            bytes: Rc::new(RefCell::new(Some(bytes))),
            can_be_held: true,
        }
    }

    /// The same memory, which cannot be held.
    pub fn unholdable(self) -> Loan {
        Loan {
            can_be_held: false,
            ..self
        }
    }

    /// Takes the memory away.
    pub fn vanish(&self) {
        self.bytes.take();
    }

    /// What is in it; none where it is gone.
    pub fn contents(&self) -> Option<Vec<u8>> {
        self.bytes.borrow().clone()
    }

    /// Writes other bytes all over it.
    pub fn scribble(&self) {
        if let Some(bytes) = &mut *self.bytes.borrow_mut() {
            bytes.fill(POISON);
        }
    }
}

impl Memory for Loan {
    fn region(&mut self) -> Option<Region<'_>> {
        let mut bytes = self.bytes.borrow_mut();
        let bytes = bytes.as_mut()?;
        // SAFETY: the bytes stay where they are until `vanish`, which no call of a connection comes to.
        Some(unsafe { Region::new(bytes.as_mut_ptr(), bytes.len()) })
    }
}

impl Offer for Loan {
    type Held = Loan;

    fn hold(&self) -> Option<Loan> {
        self.can_be_held.then(|| self.clone())
    }
}
