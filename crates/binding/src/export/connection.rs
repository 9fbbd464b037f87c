//! Connections: made, asked, closed. What is called once per message is in [`super::hot`].

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use fdwire_ancillary::{self as ancillary, Address};
use fdwire_engine::{Accepted, Error, Kind, Settings, Wire, kind};
use napi::Result;
use napi::bindgen_prelude::{Buffer, Uint8ArraySlice};
use napi_derive::napi;

use super::descriptor::BAD_DESCRIPTOR;
use super::hot::report;
use super::socket;
use crate::codes::{FLAG_NAMED, FLAG_READ_ONLY, FLAG_WRITE_ONLY, deadline, duration};
use crate::environment::{self, Connection, Environment, Source, answering, connection};
use crate::napi::realm::{Realm, Report};

/// Reads may go past a frame.
#[napi]
pub const READ_AHEAD: u32 = 1;
/// Descriptors are acknowledged as on macOS.
#[napi]
pub const ACKNOWLEDGE_FDS: u32 = 2;
/// Nagle's algorithm is turned off.
#[napi]
pub const NO_DELAY: u32 = 4;

fn settings(max_message_size: f64, flags: u32) -> Settings {
    Settings {
        max_message_size: max_message_size as u64,
        read_ahead: flags & READ_AHEAD != 0,
        acknowledge: flags & ACKNOWLEDGE_FDS != 0,
        no_delay: flags & NO_DELAY != 0,
    }
}

/// Adds a connection over a descriptor, with `flags` in the report; returns its number.
fn insert(
    environment: &Environment,
    realm: &std::rc::Rc<Realm>,
    (fd, kind): (OwnedFd, Kind),
    settings: Settings,
    flags: u32,
) -> i32 {
    if kind == Kind::Socket && settings.no_delay {
        // Only TCP has it.
        let _ = ancillary::set_no_delay(fd.as_fd(), true);
    }
    realm.report(&Report {
        flags,
        ..Report::default()
    });
    let make = |token| Source::Connection(Box::new(Connection::new(Wire::new(fd, kind), token, settings)));
    environment.table.insert(realm.clone(), make) as i32
}

/// What a descriptor is, and how it was opened: a socket goes both ways.
fn inspect(fd: BorrowedFd<'_>) -> fdwire_engine::Result<(Kind, u32)> {
    let kind = kind(fd)?;
    let flags = match kind {
        Kind::File => match ancillary::access_mode(fd)? {
            libc::O_RDONLY => FLAG_READ_ONLY,
            libc::O_WRONLY => FLAG_WRITE_ONLY,
            _ => 0,
        },
        _ => 0,
    };
    Ok((kind, flags))
}

/// Makes a connection of a descriptor that JavaScript holds. Returns its number, with FLAG_READ_ONLY or FLAG_WRITE_ONLY in
/// the report, or a code with the descriptor left where it was.
#[napi(catch_unwind)]
pub fn connection_open(realm: u32, fd: i32, max_message_size: f64, flags: u32) -> Result<i32> {
    answering(|environment| {
        let realm = environment.realm(realm)?;
        let owned = environment.shared().descriptors.take_back(fd).ok_or(BAD_DESCRIPTOR)?;
        match inspect(owned.as_fd()) {
            Ok((kind, access)) => {
                let settings = settings(max_message_size, flags);
                Ok(insert(environment, &realm, (owned, kind), settings, access))
            }
            Err(error) => {
                environment.shared().descriptors.hand_out(owned);
                Err(error)
            }
        }
    })
}

/// Connects to a unix address. Returns the connection's number, and FLAG_NAMED where its peer has another address; or a
/// code (EAGAIN: the accept queue is full).
#[napi(catch_unwind)]
pub fn connection_connect(realm: u32, path: Uint8ArraySlice<'_>, max_message_size: f64, flags: u32) -> Result<i32> {
    let address = Address::Unix(path.as_ref().to_vec());
    answering(|environment| {
        let realm = environment.realm(realm)?;
        let socket = socket::connect(&address)?;
        // A listener that was bound to a relative path or behind a link has another name for itself.
        let named = ancillary::peer_address(socket.as_fd()).is_ok_and(|peer| peer != address);
        let settings = settings(max_message_size, flags);
        let flags = u32::from(named) * FLAG_NAMED;
        Ok(insert(environment, &realm, (socket, Kind::Unix), settings, flags))
    })
}

/// Accepts a connection from a listener. Returns its number, and FLAG_NAMED where its peer has an address; or WOULD_BLOCK,
/// or another code. With `report` the listener is reported when there may be another, and accepts so many in a turn.
#[napi(catch_unwind)]
pub fn connection_accept(listener: u32, max_message_size: f64, flags: u32, report: bool) -> Result<i32> {
    answering(|environment| {
        let (Accepted { socket, peer, kind }, realm) =
            environment.table.watch(listener, |shared, realm, watch| {
                watch.accept(shared, report).map(|accepted| (accepted, realm.clone()))
            })??;
        let settings = settings(max_message_size, flags);
        let flags = u32::from(peer != Address::Unix(Vec::new())) * FLAG_NAMED;
        Ok(insert(environment, &realm, (socket, kind), settings, flags))
    })
}

/// Makes a connection whose bytes JavaScript carries.
#[napi(catch_unwind)]
pub fn connection_open_stream(realm: u32, max_message_size: f64, flags: u32) -> Result<i32> {
    answering(|environment| {
        let realm = environment.realm(realm)?;
        let settings = settings(max_message_size, flags);
        let make = |token| Source::Connection(Box::new(Connection::new(Wire::carried(), token, settings)));
        Ok(environment.table.insert(realm, make) as i32)
    })
}

/// Whether the connection carries descriptors.
#[napi(catch_unwind)]
pub fn connection_carries_descriptors(id: u32) -> Result<bool> {
    Ok(connection(id, |_, _, connection| Ok(i32::from(connection.carries_descriptors())))? == 1)
}

/// The descriptor's number; -1 where there is none.
#[napi(catch_unwind)]
pub fn connection_descriptor(id: u32) -> Result<i32> {
    connection(id, |_, _, connection| {
        Ok(connection.transport().fd().map_or(-1, |fd| fd.as_raw_fd()))
    })
}

/// Whether a pending operation keeps the process alive.
#[napi(catch_unwind)]
pub fn connection_reference(id: u32, referenced: bool) -> Result<i32> {
    connection(id, |shared, _, connection| {
        connection.reference(shared, referenced);
        Ok(0)
    })
}

/// Changes how many bytes a received message may have: a handshake has a limit of its own.
#[napi(catch_unwind)]
pub fn connection_limit(id: u32, max_message_size: f64) -> Result<i32> {
    connection(id, |_, _, connection| {
        connection.limit(max_message_size as u64);
        Ok(0)
    })
}

/// 1 when a receive would find something, else 0. Blocks for at most `timeout` milliseconds.
#[napi(catch_unwind)]
pub fn connection_poll(id: u32, timeout: f64) -> Result<i32> {
    connection(id, |_, _, connection| connection.poll(duration(timeout)).map(i32::from))
}

/// 1 when something was read ahead, the peer's end included, else 0. Asks nobody.
#[napi(catch_unwind)]
pub fn connection_read_ahead(id: u32) -> Result<i32> {
    connection(id, |_, _, connection| Ok(i32::from(connection.has_read_ahead())))
}

/// Asks for one report when there is something to read.
#[napi(catch_unwind)]
pub fn connection_await_read(id: u32) -> Result<i32> {
    connection(id, |shared, _, connection| connection.await_read(shared).map(|()| 0))
}

/// Asks for one report that the peer is gone; 1 where that is known already.
#[napi(catch_unwind)]
pub fn connection_watch_end(id: u32) -> Result<i32> {
    connection(id, |shared, _, connection| connection.watch_end(shared).map(i32::from))
}

/// Nobody waits for something to read any more.
#[napi(catch_unwind)]
pub fn connection_forget_read(id: u32) -> Result<i32> {
    connection(id, |shared, _, connection| {
        connection.forget_read(shared);
        Ok(0)
    })
}

/// The receive that waits gives up: what was being read into its buffer is kept for the next.
#[napi(catch_unwind)]
pub fn leave(id: u32) -> Result<i32> {
    connection(id, |_, _, connection| {
        connection.leave();
        Ok(0)
    })
}

/// Puts a message without descriptors back in front.
#[napi(catch_unwind)]
pub fn unread(id: u32, message: Uint8ArraySlice<'_>) -> Result<i32> {
    connection(id, |_, _, connection| {
        connection.unread(message.as_ref());
        Ok(0)
    })
}

/// Bytes that JavaScript read for a connection without a descriptor; none are the end.
#[napi(catch_unwind)]
pub fn feed(id: u32, bytes: Uint8ArraySlice<'_>) -> Result<i32> {
    connection(id, |_, _, connection| {
        connection.feed(bytes.as_ref());
        Ok(0)
    })
}

/// Hands what was corked to the kernel. Returns as `send` does.
#[napi(catch_unwind)]
pub fn flush(id: u32) -> Result<i32> {
    connection(id, |shared, realm, connection| {
        let outcome = connection.flush(shared);
        report(shared, realm, outcome).0
    })
}

/// What became of the sends so far: as `flush`, without writing.
#[napi(catch_unwind)]
pub fn sent(id: u32) -> Result<i32> {
    connection(id, |shared, realm, connection| {
        let outcome = connection.sent();
        report(shared, realm, outcome).0
    })
}

/// Blocks until the kernel has what is queued, for at most `timeout` milliseconds. Returns as `send` does, or TIMED_OUT:
/// the buffer that was sent last is not used any more then.
#[napi(catch_unwind)]
pub fn flush_wait(id: u32, timeout: f64) -> Result<i32> {
    connection(id, |shared, realm, connection| {
        let outcome = connection.flush_wait(shared, deadline(timeout));
        report(shared, realm, outcome).0
    })
}

/// Takes what is queued on a connection without a descriptor, up to about a mebibyte, with the positions in the report.
#[napi(catch_unwind)]
pub fn take_output(id: u32) -> Result<Buffer> {
    let mut output = Vec::new();
    connection(id, |shared, realm, connection| {
        let (bytes, outcome) = connection.take_output(shared);
        output = bytes;
        report(shared, realm, outcome).0
    })?;
    Ok(output.into())
}

/// Bytes that wait for the kernel.
#[napi(catch_unwind)]
pub fn queued_length(id: u32) -> Result<f64> {
    environment::with(|environment| {
        let length = environment
            .table
            .connection(id, |_, _, connection| connection.queued_length());
        length.unwrap_or(0) as f64
    })
}

/// Closes the descriptor, with all that is read ahead or queued.
#[napi(catch_unwind)]
pub fn connection_close(id: u32) -> Result<()> {
    environment::with(|environment| {
        if let Some(Source::Connection(connection)) = environment.table.remove(id) {
            drop(connection.into_transport(environment.shared()));
        }
    })
}

/// Hands the descriptor back. BUSY while writes are queued or bytes read ahead.
#[napi(catch_unwind)]
pub fn connection_release(id: u32) -> Result<i32> {
    let busy = connection(
        id,
        |_, _, connection| {
            if connection.is_busy() { Err(Error::Busy) } else { Ok(0) }
        },
    )?;
    if busy != 0 {
        return Ok(busy);
    }
    answering(|environment| match environment.table.remove(id) {
        Some(Source::Connection(connection)) => {
            let fd = connection.into_transport(environment.shared()).into_fd();
            Ok(environment.shared().descriptors.hand_out(fd.ok_or(BAD_DESCRIPTOR)?))
        }
        _ => Err(Error::NoSource),
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
#[napi(catch_unwind)]
pub fn connection_export(id: u32) -> Result<Option<ReadAhead>> {
    let mut exported = None;
    connection(id, |_, _, connection| {
        exported = connection.snapshot().map(|snapshot| ReadAhead {
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
        Ok(0)
    })?;
    Ok(exported)
}

/// Gives a new connection what was read ahead elsewhere. The descriptors are held for JavaScript. 0, or PROTOCOL_ERROR
/// where the tags are out of order: then the descriptors are closed.
#[napi(catch_unwind)]
pub fn connection_import(id: u32, read_ahead: ReadAhead) -> Result<i32> {
    connection(id, |shared, _, connection| {
        let mut fds = read_ahead.fds.iter().filter_map(|&fd| shared.descriptors.take_back(fd));
        let tags = read_ahead.tags.chunks_exact(3).map(|tag| {
            let group = fds.by_ref().take(tag[1] as usize).collect();
            (tag[0] as u64, group, tag[2] != 0.0)
        });
        let tags = tags.collect();
        if connection.import(&read_ahead.bytes, tags, read_ahead.acknowledgements) {
            Ok(0)
        } else {
            Err(Error::ProtocolError)
        }
    })
}
