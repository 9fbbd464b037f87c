//! What the calls return besides results, and where in the report the rest is.
//!
//! A negative result is `-(subject * 65536 + reason)`: the reason is an error number, or one of ours from 10001 on; the
//! subject is the system call, or the missing feature, by its place in a table of names, and 0 where there is none.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fdwire_engine::{Error, Wait};
use napi_derive::napi;

/// Nothing yet; the source is armed and will be reported.
#[napi]
pub const WOULD_BLOCK: i32 = -10_001;
/// The peer closed between messages.
#[napi]
pub const END_OF_STREAM: i32 = -10_002;
/// The peer closed inside a message.
#[napi]
pub const MESSAGE_TRUNCATED: i32 = -10_003;
/// The header announces more than the limit: REPORT_LENGTH.
#[napi]
pub const MESSAGE_TOO_LARGE: i32 = -10_004;
/// The call is to be made again with memory of REPORT_LENGTH bytes.
#[napi]
pub const NEED_MEMORY: i32 = -10_005;
/// The bytes are not of this protocol. Nothing can follow.
#[napi]
pub const PROTOCOL_ERROR: i32 = -10_008;
/// A handle record with the wrong number of descriptors: REPORT_LENGTH.
#[napi]
pub const DESCRIPTOR_COUNT: i32 = -10_009;
/// Descriptors were lost on the way in (MSG_CTRUNC).
#[napi]
pub const DESCRIPTORS_TRUNCATED: i32 = -10_010;
/// The time to wait is over.
#[napi]
pub const TIMED_OUT: i32 = -10_011;
/// The memory that a message was written into was taken away; the message is lost.
#[napi]
pub const MEMORY_GONE: i32 = -10_013;
/// A message is under way, or something is queued.
#[napi]
pub const BUSY: i32 = -10_014;
/// The reason of what the operating system does not have; the subject names it.
#[napi]
pub const UNSUPPORTED: i32 = 10_012;
/// Accepted, and not all of it with the kernel yet.
#[napi]
pub const QUEUED: i32 = 1;

/// Index into the report: the length of a message, of the memory that is needed, or what an error is about.
#[napi]
pub const REPORT_LENGTH: u32 = 0;
/// Index into the report: how many descriptors came, now in the shared descriptor words.
#[napi]
pub const REPORT_DESCRIPTORS: u32 = 1;
/// Index into the report: the stream position up to which the kernel has the bytes.
#[napi]
pub const REPORT_WRITTEN: u32 = 2;
/// Index into the report: the stream position at the end of what was queued.
#[napi]
pub const REPORT_QUEUED: u32 = 3;
/// Index into the report: what is special about a new connection, of the FLAG_ bits.
#[napi]
pub const REPORT_FLAGS: u32 = 4;
/// Index into the report: the number of the turn that the native side began and that has not ended, or 0.
#[napi]
pub const REPORT_TURN: u32 = 5;
/// How many 64-bit words the report has.
#[napi]
pub const REPORT_WORDS: u32 = 6;

/// The descriptor can only be read.
#[napi]
pub const FLAG_READ_ONLY: u32 = 1;
/// The descriptor can only be written.
#[napi]
pub const FLAG_WRITE_ONLY: u32 = 2;
/// The peer has an address that is to be asked for.
#[napi]
pub const FLAG_NAMED: u32 = 4;

/// How many descriptors one message may bring: what is held unclaimed at the most.
#[napi]
pub const MAX_UNCLAIMED: u32 = fdwire_engine::MAX_UNCLAIMED as u32;

/// Event flag: there may be something to read.
#[napi]
pub const READABLE: u32 = 1;
/// Event flag: queued bytes went out, or failed to; for a watch, writable.
#[napi]
pub const WRITABLE: u32 = 2;
/// Event flag: the peer is gone.
#[napi]
pub const GONE: u32 = 4;

/// The names of all subjects met so far, of every thread; a name's number is its place, from 1 on.
static SUBJECTS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

fn failure(name: &'static str, reason: i32) -> i32 {
    let mut subjects = SUBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = subjects.iter().position(|&known| known == name);
    let place = known.unwrap_or_else(|| {
        subjects.push(name);
        subjects.len() - 1
    });
    -((place as i32 + 1) * 0x1_0000 + reason)
}

/// The name of a subject; empty where there is none.
#[napi(catch_unwind)]
pub fn subject(index: u32) -> &'static str {
    let subjects = SUBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = (index as usize).checked_sub(1);
    place.and_then(|place| subjects.get(place)).copied().unwrap_or_default()
}

/// The negative code of an error.
pub(crate) fn code(error: Error) -> i32 {
    match error {
        Error::WouldBlock => WOULD_BLOCK,
        Error::EndOfStream => END_OF_STREAM,
        Error::MessageTruncated => MESSAGE_TRUNCATED,
        Error::MessageTooLarge { .. } => MESSAGE_TOO_LARGE,
        Error::NeedMemory { .. } => NEED_MEMORY,
        Error::ProtocolError => PROTOCOL_ERROR,
        Error::DescriptorCount { .. } => DESCRIPTOR_COUNT,
        Error::DescriptorsTruncated => DESCRIPTORS_TRUNCATED,
        Error::TimedOut => TIMED_OUT,
        Error::MemoryGone => MEMORY_GONE,
        Error::Busy => BUSY,
        Error::System { syscall, errno } => failure(syscall, errno as i32),
        Error::Unsupported(feature) => failure(feature, UNSUPPORTED),
        _ => failure("fcntl", libc::EBADF),
    }
}

/// A result, or the negative code of an error.
pub(crate) fn answer(result: fdwire_engine::Result<i32>) -> i32 {
    result.unwrap_or_else(code)
}

/// A timeout as JavaScript gives it: milliseconds, or infinite.
pub(crate) fn duration(timeout: f64) -> Option<Duration> {
    // What is too long to express is for ever.
    Duration::try_from_secs_f64(timeout / 1000.0).ok()
}

/// Until when that is; none where it is for ever.
pub(crate) fn deadline(timeout: f64) -> Option<Instant> {
    duration(timeout).and_then(|timeout| Instant::now().checked_add(timeout))
}

/// Where it is negative the call must not block.
pub(crate) fn wait(timeout: f64) -> Wait {
    if timeout < 0.0 {
        Wait::Reported
    } else {
        Wait::Until(deadline(timeout))
    }
}
