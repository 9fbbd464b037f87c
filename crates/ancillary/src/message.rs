//! One `sendmsg`, one `recvmsg`.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use fdwire_system::{Error, Result, retry};
use nix::errno::Errno;

use crate::address::{Address, decode, encode};
use crate::control::{self, ControlMessage};
use crate::credentials::Credentials;
use crate::option::{SocketType, socket_type};
use crate::platform;
use crate::raw_address::RawAddress;
use crate::region::{Source, Target, iovecs, iovecs_mut};
use crate::rights::{Arrival, MAX_FDS};

/// What holds on this system.
pub const ARRIVAL: Arrival = platform::ARRIVAL;

const SEND_SPACE: usize = control::space(MAX_FDS * size_of::<i32>());

#[repr(align(8))]
struct Aligned<const N: usize>([u8; N]);

/// Space for the control messages of one receive; make one and use it again.
///
/// It has room for [`MAX_FDS`] descriptors, credentials and some more, and far more descriptors where a buffer that is too
/// small leaks them (macOS).
pub struct ControlBuffer {
    bytes: Box<Aligned<{ platform::CONTROL_SPACE }>>,
    /// All behind it is zero: a receive never sees what an earlier one left.
    used: usize,
}

impl ControlBuffer {
    /// A buffer large enough for anything [`send`] sends.
    pub fn new() -> Self {
        ControlBuffer {
            bytes: Box::new(Aligned([0; platform::CONTROL_SPACE])),
            used: 0,
        }
    }

    fn zeroed(&mut self) -> &mut [u8] {
        self.bytes.0[..self.used].fill(0);
        self.used = 0;
        &mut self.bytes.0
    }

    fn filled(&self) -> &[u8] {
        &self.bytes.0[..self.used]
    }
}

impl Default for ControlBuffer {
    fn default() -> Self {
        ControlBuffer::new()
    }
}

impl fmt::Debug for ControlBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ControlBuffer")
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// What [`receive`] got.
#[derive(Debug)]
pub struct Received {
    /// How many bytes; 0 is the end of the stream.
    pub bytes: usize,
    /// The descriptors that came with them, all of them or none.
    pub fds: Vec<OwnedFd>,
    /// `MSG_CTRUNC`: descriptors were lost, and those that came are closed.
    pub truncated: bool,
    /// A control message of any kind came, so a short read does not mean that the socket is drained.
    pub control: bool,
}

/// Receives bytes and the descriptors sent with them; `EAGAIN` instead of waiting unless `wait`.
#[doc(alias = "recvmsg")]
#[doc(alias = "SCM_RIGHTS")]
pub fn receive(
    socket: BorrowedFd<'_>,
    buffers: &mut [Target<'_>],
    control: &mut ControlBuffer,
    wait: bool,
) -> Result<Received> {
    let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
    let (bytes, flags) = recvmsg(socket, buffers, control, None, flags)?;
    let Adopted { mut fds, .. } = adopt(control);
    let truncated = flags & libc::MSG_CTRUNC != 0;
    if truncated {
        fds = Vec::new();
    }
    platform::received(&fds)?;
    Ok(Received {
        bytes,
        fds,
        truncated,
        control: truncated || !control.filled().is_empty(),
    })
}

/// Sends bytes, and `fds` with the first of them; `EAGAIN` instead of waiting unless `wait`.
///
/// Returns how many bytes were taken. If it is any, all of `fds` went: send the rest without them.
/// More than [`MAX_FDS`] descriptors, or descriptors without a byte to carry them, are `EINVAL`, and nothing is sent.
#[doc(alias = "sendmsg")]
#[doc(alias = "SCM_RIGHTS")]
pub fn send(socket: BorrowedFd<'_>, buffers: &[Source<'_>], fds: &[BorrowedFd<'_>], wait: bool) -> Result<usize> {
    let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
    if fds.is_empty() {
        return sendmsg(socket, buffers, &[], None, flags);
    }
    if fds.len() > MAX_FDS || is_empty(buffers) {
        return Err(Error::system("sendmsg", Errno::EINVAL));
    }
    let mut control = Aligned([0; SEND_SPACE]);
    let end = append_fds(&mut control.0, 0, fds);
    sendmsg(socket, buffers, &control.0[..end], None, flags)
}

/// What [`send_message`] can send beside bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outgoing<'a> {
    /// Descriptors, in one `SCM_RIGHTS`.
    pub fds: &'a [BorrowedFd<'a>],
    /// `SCM_CREDENTIALS` (Linux); the kernel checks them.
    pub credentials: Option<Credentials>,
    /// Other control messages, sent as they are.
    pub control: &'a [ControlMessage],
    /// Where to; `None` on a connected socket.
    pub address: Option<&'a Address>,
    /// `MSG_` flags.
    pub flags: i32,
}

/// `sendmsg` with everything it can carry. [`send`] is the quick one for streams.
pub fn send_message(socket: BorrowedFd<'_>, buffers: &[Source<'_>], message: &Outgoing<'_>) -> Result<usize> {
    if message.fds.len() > MAX_FDS {
        return Err(Error::system("sendmsg", Errno::EINVAL));
    }
    // On a stream the kernel would report success and drop them; a datagram can be empty.
    if !message.fds.is_empty() && is_empty(buffers) && socket_type(socket)? == SocketType::Stream {
        return Err(Error::system("sendmsg", Errno::EINVAL));
    }
    let credentials = message.credentials.map(platform::credentials_message).transpose()?;
    let messages = || credentials.iter().chain(message.control);

    let mut length = messages().map(|message| control::space(message.data.len())).sum();
    if !message.fds.is_empty() {
        length += control::space(size_of_val(message.fds));
    }
    let mut control = vec![0; length];
    let mut end = 0;
    if !message.fds.is_empty() {
        end = append_fds(&mut control, end, message.fds);
    }
    for ControlMessage { level, kind, data } in messages() {
        end = control::append(&mut control, end, *level, *kind, data.iter().copied());
    }
    sendmsg(socket, buffers, &control, message.address, message.flags)
}

/// What [`receive_message`] got.
#[derive(Debug)]
pub struct ReceivedMessage {
    /// How many bytes; 0 is the end of a stream, or an empty datagram.
    pub bytes: usize,
    /// The descriptors that came, at most `max_fds`.
    pub fds: Vec<OwnedFd>,
    /// `SCM_CREDENTIALS`, where `SO_PASSCRED` asked for them.
    pub credentials: Option<Credentials>,
    /// `SCM_PIDFD`, where `SO_PASSPIDFD` asked for it.
    pub pidfd: Option<OwnedFd>,
    /// All other control messages.
    pub control: Vec<ControlMessage>,
    /// `MSG_` flags: `MSG_CTRUNC` says that descriptors or control messages are missing, `MSG_TRUNC` that bytes are.
    pub flags: i32,
    /// Who sent it, where the socket tells.
    pub address: Option<Address>,
}

/// `recvmsg` with everything it can bring. [`receive`] is the quick one for streams.
///
/// Descriptors over `max_fds` are closed and reported as `MSG_CTRUNC`, as the kernel does with a small buffer.
pub fn receive_message(
    socket: BorrowedFd<'_>,
    buffers: &mut [Target<'_>],
    control: &mut ControlBuffer,
    max_fds: usize,
    flags: i32,
) -> Result<ReceivedMessage> {
    let mut address = RawAddress::new();
    let (bytes, mut flags) = recvmsg(socket, buffers, control, Some(&mut address), flags)?;
    let Adopted { mut fds, pidfd } = adopt(control);
    platform::received(&fds)?;
    if fds.len() > max_fds {
        fds.truncate(max_fds);
        flags |= libc::MSG_CTRUNC;
    }
    let mut credentials = None;
    let mut others = Vec::new();
    for entry in control::entries(control.filled()) {
        if is_descriptors(&entry) {
            continue;
        }
        match platform::parse_credentials(&entry) {
            Some(found) => credentials = Some(found),
            None => others.push(ControlMessage {
                level: entry.level,
                kind: entry.kind,
                data: entry.data.to_vec(),
            }),
        }
    }
    Ok(ReceivedMessage {
        bytes,
        fds,
        credentials,
        pidfd,
        control: others,
        flags,
        address: decode(&address),
    })
}

fn is_empty(buffers: &[Source<'_>]) -> bool {
    buffers.iter().all(Source::is_empty)
}

fn append_fds(control: &mut [u8], offset: usize, fds: &[BorrowedFd<'_>]) -> usize {
    let bytes = fds.as_ptr().cast::<u8>();
    // SAFETY: BorrowedFd is a transparent, initialised i32, and the slice outlives `bytes`.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, size_of_val(fds)) };
    control::append(
        control,
        offset,
        libc::SOL_SOCKET,
        libc::SCM_RIGHTS,
        bytes.iter().copied(),
    )
}

#[derive(Default)]
struct Adopted {
    fds: Vec<OwnedFd>,
    pidfd: Option<OwnedFd>,
}

fn is_descriptors(entry: &control::Entry<'_>) -> bool {
    entry.is(libc::SOL_SOCKET, libc::SCM_RIGHTS)
        || platform::SCM_PIDFD.is_some_and(|kind| entry.is(libc::SOL_SOCKET, kind))
}

/// Makes the descriptors in a just received control buffer ours. Called once per receive, before anything can fail.
fn adopt(control: &ControlBuffer) -> Adopted {
    let mut adopted = Adopted::default();
    for entry in control::entries(control.filled()).filter(is_descriptors) {
        // SAFETY: the kernel installed these descriptors for this receive, and nobody else knows of them.
        let mut fds = entry.descriptors().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        if entry.kind == libc::SCM_RIGHTS {
            adopted.fds.extend(fds);
        } else {
            adopted.pidfd = fds.next();
        }
    }
    adopted
}

fn sendmsg(
    socket: BorrowedFd<'_>,
    buffers: &[Source<'_>],
    control: &[u8],
    address: Option<&Address>,
    flags: i32,
) -> Result<usize> {
    let name = address.map(|address| encode("sendmsg", address)).transpose()?;
    // SAFETY: a plain C struct, for which all zeroes is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    // sendmsg writes through none of these pointers.
    header.msg_iov = iovecs(buffers).cast_mut();
    header.msg_iovlen = buffers.len() as _;
    if !control.is_empty() {
        header.msg_control = control.as_ptr().cast_mut().cast();
        header.msg_controllen = control.len() as _;
    }
    if let Some(name) = &name {
        header.msg_name = name.as_ptr().cast_mut().cast();
        header.msg_namelen = name.length();
    }
    let flags = flags | platform::SEND_FLAGS;
    let sent = retry("sendmsg", || {
        // SAFETY: `header` points to buffers, control bytes and a name that live until the call returns.
        Errno::result(unsafe { libc::sendmsg(socket.as_raw_fd(), &header, flags) })
    })?;
    Ok(sent as usize)
}

/// Returns the bytes received and `msg_flags`; what came beside them is in `control`.
fn recvmsg(
    socket: BorrowedFd<'_>,
    buffers: &mut [Target<'_>],
    control: &mut ControlBuffer,
    name: Option<&mut RawAddress>,
    flags: i32,
) -> Result<(usize, i32)> {
    let space = control.zeroed();
    // SAFETY: a plain C struct, for which all zeroes is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = iovecs_mut(buffers);
    header.msg_iovlen = buffers.len() as _;
    header.msg_control = space.as_mut_ptr().cast();
    header.msg_controllen = space.len() as _;
    let mut name = name;
    if let Some(name) = &mut name {
        header.msg_name = name.as_mut_ptr().cast();
        header.msg_namelen = name.length();
    }
    let flags = flags | platform::RECEIVE_FLAGS;
    let received = retry("recvmsg", || {
        // SAFETY: `header` points to buffers, control space and a name, all borrowed mutably until the call returns, and
        // carries their sizes. The kernel changes `header` only when it succeeds, so an interrupted call can be repeated.
        Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, flags) })
    })?;
    control.used = (header.msg_controllen as usize).min(platform::CONTROL_SPACE);
    if let Some(name) = name {
        name.set_length(header.msg_namelen);
    }
    // Linux echoes the close-on-exec flag, which says nothing to the caller.
    Ok((received as usize, header.msg_flags & !platform::RECEIVE_FLAGS))
}
