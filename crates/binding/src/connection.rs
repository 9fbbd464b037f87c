//! A connection: descriptor, decoder, outbox, and what is known of the descriptor's readiness.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use fdwire_ancillary::{self as ancillary, Address, Error, Readiness};
use fdwire_framing::{Decoder, Outbox};
use fdwire_multiplexer::{Budget, Event, Interest, Token};
use napi::Result;
use napi::bindgen_prelude::{Buffer, Uint8ArraySlice};
use napi_derive::napi;

use crate::body::{Failure, UnattendedBody};
use crate::codes::{READABLE, WRITABLE, duration};
use crate::descriptors::bad_descriptor;
use crate::environment::{self, Entry, Environment, Shared, Source};
use crate::listener::Accepted;
use crate::napi::held_buffer::HeldBuffer;
use crate::napi::realm::Realm;
use crate::socket;

/// What system calls the descriptor takes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Transport {
    /// `sendmsg` and `recvmsg`, with descriptors.
    Unix,
    /// `sendmsg` and `recvmsg`, bytes only.
    Socket,
    /// `read` and `write`: pipes, ttys.
    File,
    /// No descriptor: JavaScript carries the bytes.
    Stream,
}

pub(crate) struct Connection {
    fd: Option<OwnedFd>,
    pub(crate) transport: Transport,
    token: Token,
    pub(crate) decoder: Decoder<OwnedFd>,
    pub(crate) outbox: Outbox<HeldBuffer, OwnedFd>,
    pub(crate) budget: Budget,
    pub(crate) max_message_size: u64,
    pub(crate) read_ahead: bool,
    pub(crate) acknowledge: bool,
    /// Sent descriptors that the peer has not acknowledged yet.
    pub(crate) held: VecDeque<Vec<OwnedFd>>,
    /// There may be something to read: true until a read says otherwise, and again from the next event on.
    pub(crate) readable: bool,
    /// The peer closed its side: from now on only reading tells what is left.
    pub(crate) hung_up: bool,
    pub(crate) ended: bool,
    /// The large body that is read without JavaScript.
    pub(crate) unattended: Option<Box<UnattendedBody>>,
    /// What ended it, until JavaScript has heard of it.
    pub(crate) body_failure: Option<Box<Failure>>,
    /// The body read last was large: the next header is read by itself, so that its body needs no copy.
    pub(crate) large: bool,
    /// The `-errno` of the write that failed, until JavaScript has heard of it.
    pub(crate) send_error: i32,
    /// The stream broke inside a frame: nothing can follow, and the error stays.
    pub(crate) broken: bool,
    /// JavaScript wants to hear of the next chance to read.
    awaiting_read: bool,
    /// JavaScript wants to hear of the next chance to write; the kernel refused the last one, or the budget did.
    pub(crate) awaiting_write: bool,
    /// Writes blocked, and no chance to write has passed unused since.
    writes_block: bool,
    registered: Option<Interest>,
    referenced: bool,
    active: bool,
}

impl Connection {
    fn new(fd: Option<OwnedFd>, transport: Transport, token: Token, settings: Settings) -> Connection {
        Connection {
            fd,
            transport,
            token,
            decoder: Decoder::new(),
            outbox: Outbox::new(),
            budget: Budget::new(),
            max_message_size: settings.max_message_size as u64,
            read_ahead: settings.flags & READ_AHEAD != 0,
            acknowledge: settings.flags & ACKNOWLEDGE_FDS != 0,
            held: VecDeque::new(),
            readable: true,
            hung_up: false,
            ended: false,
            unattended: None,
            body_failure: None,
            large: false,
            send_error: 0,
            broken: false,
            awaiting_read: false,
            awaiting_write: false,
            writes_block: false,
            registered: None,
            referenced: true,
            active: false,
        }
    }

    /// The descriptor; EBADF where there is none.
    pub(crate) fn fd(&self) -> std::result::Result<BorrowedFd<'_>, Error> {
        self.fd.as_ref().map(AsFd::as_fd).ok_or_else(bad_descriptor)
    }

    /// Notes what the reactor saw; queued bytes go out without JavaScript. Returns what JavaScript is to hear.
    pub(crate) fn ready(&mut self, shared: &Shared, event: Event) -> u32 {
        let mut flags = 0;
        if event.readable {
            self.readable = true;
            self.hung_up |= event.read_closed;
            if self.awaiting_read {
                self.awaiting_read = false;
                if !self.reads_on(shared) {
                    flags |= READABLE;
                }
            }
        }
        if event.writable {
            if self.awaiting_write {
                if self.flush(shared) {
                    flags |= WRITABLE;
                }
            } else {
                // Nothing was blocked all that time. A failure leaves it registered, which costs an event now and then.
                self.writes_block = false;
                let _ = self.register(shared);
            }
        }
        self.update(shared);
        flags
    }

    /// The event to expect of this connection alone: input, or room for output.
    pub(crate) fn expected(&self) -> Option<Event> {
        (self.awaiting_read != self.awaiting_write).then_some(Event {
            token: self.token,
            readable: self.awaiting_read,
            read_closed: false,
            writable: self.awaiting_write,
        })
    }

    /// JavaScript waits for something to read.
    pub(crate) fn await_read(&mut self, shared: &Shared) -> std::result::Result<(), i32> {
        self.awaiting_read = true;
        self.update(shared);
        self.register(shared)
    }

    /// The turn's budget is used up: the connection is reported again in the next turn.
    pub(crate) fn await_turn(&mut self, shared: &Shared, writing: bool) {
        if writing {
            self.awaiting_write = true;
        } else {
            self.awaiting_read = true;
        }
        shared.reactor.borrow_mut().resume(self.token);
        self.update(shared);
    }

    /// Registers for what is waited for. Reading stays registered (it is edge-triggered); writing as long as writes block.
    pub(crate) fn register(&mut self, shared: &Shared) -> std::result::Result<(), i32> {
        // A pipe has no edge for every chance to write, so it is asked anew each time.
        self.writes_block = self.awaiting_write || (self.writes_block && self.transport != Transport::File);
        let reading = self.awaiting_read || matches!(self.registered, Some(Interest::Read | Interest::ReadWrite));
        let interest = match (reading, self.writes_block) {
            (true, true) => Interest::ReadWrite,
            (false, true) => Interest::Write,
            (true, false) => Interest::Read,
            (false, false) => return self.deregister(shared),
        };
        if self.registered == Some(interest) {
            return Ok(());
        }
        let Ok(fd) = self.fd() else { return Ok(()) };
        let reactor = shared.reactor.borrow();
        let result = match self.registered {
            None => reactor.register(fd, self.token, interest),
            Some(_) => reactor.reregister(fd, self.token, interest),
        };
        result.map_err(|error| shared.fail_multiplexer(&error))?;
        self.registered = Some(interest);
        Ok(())
    }

    fn deregister(&mut self, shared: &Shared) -> std::result::Result<(), i32> {
        if self.registered.take().is_some()
            && let Ok(fd) = self.fd()
        {
            // It may be gone from the kernel's table already: nothing to undo then.
            let _ = shared.reactor.borrow().deregister(fd);
        }
        Ok(())
    }

    /// Counts the connection as pending, or no longer.
    pub(crate) fn update(&mut self, shared: &Shared) {
        let active = (self.awaiting_read || self.awaiting_write) && self.referenced;
        if active != self.active {
            self.active = active;
            shared.activate(active);
        }
    }

    fn stop(&mut self, shared: &Shared) {
        self.awaiting_read = false;
        self.awaiting_write = false;
        self.update(shared);
        let _ = self.deregister(shared);
    }

    fn has_read_ahead(&self) -> bool {
        self.decoder.buffered() > 0 || self.decoder.in_body() || self.ended
    }

    /// Whether a receive would find something: bytes, the end, or an error. Waits that long for it.
    fn poll(&mut self, timeout: Option<Duration>) -> std::result::Result<bool, Error> {
        self.settle_acknowledgements();
        if self.has_read_ahead() {
            return Ok(true);
        }
        if self.transport != Transport::Stream {
            self.readable = ancillary::poll(self.fd()?, Readiness::READABLE, timeout)?.readable;
        }
        Ok(self.readable)
    }
}

/// Reads may go past a frame.
#[napi]
pub const READ_AHEAD: u32 = 1;
/// Descriptors are acknowledged as on macOS.
#[napi]
pub const ACKNOWLEDGE_FDS: u32 = 2;
/// Nagle's algorithm is turned off.
#[napi]
pub const NO_DELAY: u32 = 4;

/// What a connection is made with.
#[derive(Clone, Copy)]
struct Settings {
    /// Bytes a message may have at the most.
    max_message_size: f64,
    /// `READ_AHEAD`, `ACKNOWLEDGE_FDS`, `NO_DELAY`.
    flags: u32,
}

/// Calls `f` with a connection; a number that is none any more is EBADF.
pub(crate) fn with_connection(id: u32, f: impl FnOnce(&Shared, &Realm, &mut Connection) -> i32) -> Result<i32> {
    environment::with(
        |environment| match environment.sources.borrow_mut().get_mut(id as usize) {
            Some(Entry {
                source: Source::Connection(connection),
                realm,
                ..
            }) => f(&environment.shared, realm, connection),
            _ => -libc::EBADF,
        },
    )
}

/// What system calls a descriptor takes.
pub(crate) fn transport(fd: BorrowedFd<'_>) -> std::result::Result<Transport, Error> {
    match ancillary::socket_family(fd) {
        Ok(libc::AF_UNIX) => Ok(Transport::Unix),
        Ok(_) => Ok(Transport::Socket),
        Err(error) if error.errno() as i32 == libc::ENOTSOCK => Ok(Transport::File),
        Err(error) => Err(error),
    }
}

/// What a descriptor is, and how it was opened: a socket goes both ways.
fn inspect(fd: BorrowedFd<'_>) -> std::result::Result<(Transport, i32), Error> {
    let transport = transport(fd)?;
    let access = if transport == Transport::File {
        ancillary::access_mode(fd)?
    } else {
        libc::O_RDWR
    };
    Ok((transport, access))
}

impl Environment {
    fn connection(&self, realm: Rc<Realm>, fd: Option<OwnedFd>, transport: Transport, settings: Settings) -> i32 {
        if let (Some(fd), Transport::Socket) = (&fd, transport)
            && settings.flags & NO_DELAY != 0
        {
            // Only TCP has it.
            let _ = ancillary::set_no_delay(fd.as_fd(), true);
        }
        let make = |token| Source::Connection(Box::new(Connection::new(fd, transport, token, settings)));
        self.insert(realm, make) as i32
    }
}

/// Makes a connection of a descriptor that JavaScript holds. Returns its number, with how the descriptor was opened in the
/// report, or `-errno` with the descriptor left where it was.
#[napi]
pub fn connection_open(realm: u32, fd: i32, max_message_size: f64, flags: u32) -> Result<i32> {
    environment::with(|environment| {
        let shared = &environment.shared;
        let realm = environment.realm(realm)?;
        let Some(owned) = shared.take_back(fd) else {
            return Ok(shared.fail(&bad_descriptor()));
        };
        match inspect(owned.as_fd()) {
            Ok((transport, access)) => {
                realm.report_access(access);
                let settings = Settings {
                    max_message_size,
                    flags,
                };
                Ok(environment.connection(realm, Some(owned), transport, settings))
            }
            Err(error) => {
                shared.hand_out(owned);
                Ok(shared.fail(&error))
            }
        }
    })?
}

/// Connects to a unix address. Returns the connection's number, and in the report whether its peer has another address;
/// or `-errno` (EAGAIN: the accept queue is full).
#[napi]
pub fn connection_connect(realm: u32, path: Uint8ArraySlice<'_>, max_message_size: f64, flags: u32) -> Result<i32> {
    let address = Address::Unix(path.as_ref().to_vec());
    environment::with(|environment| {
        let realm = environment.realm(realm)?;
        match socket::connect(&address) {
            Ok(socket) => {
                // A listener that was bound to a relative path or behind a link has another name for itself.
                realm.report_named(ancillary::peer_address(socket.as_fd()).is_ok_and(|peer| peer != address));
                let settings = Settings {
                    max_message_size,
                    flags,
                };
                Ok(environment.connection(realm, Some(socket), Transport::Unix, settings))
            }
            Err(error) => Ok(environment.shared.fail(&error)),
        }
    })?
}

/// Accepts a connection from a listener. Returns its number, and in the report whether its peer has an address; or
/// WOULD_BLOCK, or `-errno`. With `report` the listener is reported when there may be another, and accepts so many in a
/// turn.
#[napi]
pub fn connection_accept(listener: u32, max_message_size: f64, flags: u32, report: bool) -> Result<i32> {
    environment::with(|environment| {
        let accepted = match environment.sources.borrow_mut().get_mut(listener as usize) {
            Some(Entry {
                source: Source::Watch(watch),
                realm,
                ..
            }) => watch
                .accept(&environment.shared, report)
                .map(|accepted| (accepted, realm.clone())),
            _ => Err(-libc::EBADF),
        };
        match accepted {
            Ok((
                Accepted {
                    socket,
                    peer,
                    transport,
                },
                realm,
            )) => {
                realm.report_named(peer != Address::Unix(Vec::new()));
                let settings = Settings {
                    max_message_size,
                    flags,
                };
                environment.connection(realm, Some(socket), transport, settings)
            }
            Err(code) => code,
        }
    })
}

/// Makes a connection whose bytes JavaScript carries.
#[napi]
pub fn connection_open_stream(realm: u32, max_message_size: f64, flags: u32) -> Result<i32> {
    environment::with(|environment| {
        let realm = environment.realm(realm)?;
        let settings = Settings {
            max_message_size,
            flags,
        };
        Ok(environment.connection(realm, None, Transport::Stream, settings))
    })?
}

/// Whether the connection carries descriptors.
#[napi]
pub fn connection_carries_descriptors(id: u32) -> Result<bool> {
    Ok(with_connection(id, |_, _, connection| {
        i32::from(connection.transport == Transport::Unix)
    })? == 1)
}

/// The descriptor's number.
#[napi]
pub fn connection_descriptor(id: u32) -> Result<i32> {
    with_connection(id, |_, _, connection| connection.fd().map_or(-1, |fd| fd.as_raw_fd()))
}

/// Whether a pending operation keeps the process alive.
#[napi]
pub fn connection_reference(id: u32, referenced: bool) -> Result<i32> {
    with_connection(id, |shared, _, connection| {
        connection.referenced = referenced;
        connection.update(shared);
        0
    })
}

/// Changes how many bytes a received message may have: a handshake has a limit of its own.
#[napi]
pub fn connection_limit(id: u32, max_message_size: f64) -> Result<i32> {
    with_connection(id, |_, _, connection| {
        connection.max_message_size = max_message_size as u64;
        0
    })
}

/// 1 when a receive would find something, else 0. Blocks for at most `timeout` milliseconds.
#[napi]
pub fn connection_poll(id: u32, timeout: f64) -> Result<i32> {
    with_connection(id, |shared, _, connection| match connection.poll(duration(timeout)) {
        Ok(ready) => i32::from(ready),
        Err(error) => shared.fail(&error),
    })
}

/// 1 when something was read ahead, the peer's end included, else 0. Asks nobody.
#[napi]
pub fn connection_read_ahead(id: u32) -> Result<i32> {
    with_connection(id, |_, _, connection| i32::from(connection.has_read_ahead()))
}

/// Asks for one report when there is something to read.
#[napi]
pub fn connection_await_read(id: u32) -> Result<i32> {
    with_connection(id, |shared, _, connection| {
        // Of each chance, not only when the body under way is complete.
        connection.unattended = None;
        connection.await_read(shared).err().unwrap_or(0)
    })
}

/// Nobody waits for something to read any more.
#[napi]
pub fn connection_forget_read(id: u32) -> Result<i32> {
    with_connection(id, |shared, _, connection| {
        connection.awaiting_read = false;
        connection.update(shared);
        0
    })
}

/// Closes the descriptor, with all that is read ahead or queued.
#[napi]
pub fn connection_close(id: u32) -> Result<()> {
    environment::with(|environment| {
        if let Some(Entry {
            source: Source::Connection(mut connection),
            ..
        }) = environment.remove(id)
        {
            connection.stop(&environment.shared);
        }
    })
}

/// Hands the descriptor back. EBUSY while writes are queued or bytes read ahead.
#[napi]
pub fn connection_release(id: u32) -> Result<i32> {
    let busy = with_connection(id, |_, _, connection| {
        let reading = connection.decoder.buffered() > 0 || connection.decoder.in_body();
        if reading || !connection.outbox.is_empty() {
            -libc::EBUSY
        } else {
            0
        }
    })?;
    if busy != 0 {
        return Ok(busy);
    }
    environment::with(|environment| match environment.remove(id) {
        Some(Entry {
            source: Source::Connection(mut connection),
            ..
        }) => {
            connection.stop(&environment.shared);
            connection.fd.map_or(-libc::EBADF, |fd| environment.shared.hand_out(fd))
        }
        _ => -libc::EBADF,
    })
}

/// What was read ahead, for moving the connection: the bytes, and the descriptors that came with them.
#[napi(object)]
pub struct ReadAhead {
    /// Bytes, from the next boundary on.
    pub bytes: Buffer,
    /// The descriptors, still the connection's.
    pub fds: Vec<i32>,
    /// For each group of descriptors: the offset of its byte, how many, and whether a read ended there (1 or 0).
    pub tags: Vec<f64>,
    /// Acknowledgements that are due.
    pub acknowledgements: u32,
}

/// A copy of what was read ahead; none inside a large message, or where descriptors were lost.
#[napi]
pub fn connection_export(id: u32) -> Result<Option<ReadAhead>> {
    let mut exported = None;
    with_connection(id, |_, _, connection| {
        exported = connection.decoder.snapshot().map(|snapshot| ReadAhead {
            bytes: snapshot.bytes.to_vec().into(),
            fds: snapshot
                .tags
                .iter()
                .flat_map(|(_, fds, _)| fds.iter().map(|fd| fd.as_raw_fd()))
                .collect(),
            tags: snapshot
                .tags
                .iter()
                .flat_map(|&(offset, fds, exact)| [offset as f64, fds.len() as f64, f64::from(exact)])
                .collect(),
            acknowledgements: snapshot.acknowledgements_due as u32,
        });
        0
    })?;
    Ok(exported)
}

/// Gives a new connection what was read ahead elsewhere. The descriptors are held for JavaScript.
#[napi]
pub fn connection_import(id: u32, read_ahead: ReadAhead) -> Result<i32> {
    with_connection(id, |shared, _, connection| {
        let start = connection.decoder.end();
        connection.decoder.feed(&read_ahead.bytes);
        let mut fds = read_ahead.fds.iter().filter_map(|&fd| shared.take_back(fd));
        for tag in read_ahead.tags.chunks_exact(3) {
            let group = fds.by_ref().take(tag[1] as usize).collect();
            connection.decoder.attach(start + tag[0] as u64, group, tag[2] != 0.0);
        }
        for _ in 0..read_ahead.acknowledgements {
            connection.decoder.expect_acknowledgement();
            connection.held.push_back(Vec::new());
        }
        0
    })
}
