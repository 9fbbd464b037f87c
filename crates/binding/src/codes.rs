//! What the calls return besides results and `-errno`.

use std::time::Duration;

use fdwire_ancillary::Error;
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
/// The header announces more than the limit.
#[napi]
pub const MESSAGE_TOO_LARGE: i32 = -10_004;
/// The message is here but does not fit the target; its length is in the report.
#[napi]
pub const NO_ROOM: i32 = -10_005;
/// The header of a large message is here: its body is to be read with `receiveBody`.
#[napi]
pub const LARGE_BODY: i32 = -10_006;
/// The spare buffer holds the message.
#[napi]
pub const SPARE_FILLED: i32 = -10_013;
/// The target is full and the body goes on.
#[napi]
pub const TARGET_FULL: i32 = -10_007;
/// The bytes are not of this protocol.
#[napi]
pub const PROTOCOL_ERROR: i32 = -10_008;
/// A handle record with the wrong number of descriptors.
#[napi]
pub const DESCRIPTOR_COUNT: i32 = -10_009;
/// Descriptors were lost on the way in (MSG_CTRUNC).
#[napi]
pub const DESCRIPTORS_TRUNCATED: i32 = -10_010;
/// The time to wait is over.
#[napi]
pub const TIMED_OUT: i32 = -10_011;
/// The operating system has no such thing; `failedSyscall` names it.
#[napi]
pub const UNSUPPORTED: i32 = -10_012;
/// Accepted, and not all of it with the kernel yet.
#[napi]
pub const QUEUED: i32 = 1;

/// Index into the report: the length of a message or body.
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
/// Index into the report: the number of the turn that the native side began and that has not ended, or 0.
#[napi]
pub const REPORT_TURN: u32 = 4;
/// Index into the report: how a descriptor was opened, `ACCESS_READ`, `ACCESS_WRITE` or neither.
#[napi]
pub const REPORT_ACCESS: u32 = 5;
/// Index into the report: 1 where the peer of a new connection has an address that is to be asked for, else 0.
#[napi]
pub const REPORT_NAMED: u32 = 6;
/// How many 64-bit words the report has.
#[napi]
pub const REPORT_WORDS: u32 = 7;
/// How many descriptors one message may bring: what is held unclaimed at the most.
#[napi]
pub const MAX_UNCLAIMED: u32 = 4 * fdwire_ancillary::MAX_FDS as u32;

/// Event flag: there may be something to read.
#[napi]
pub const READABLE: u32 = 1;
/// Event flag: queued bytes went out, or failed to; for a watch, writable.
#[napi]
pub const WRITABLE: u32 = 2;

/// A timeout as JavaScript gives it: milliseconds, or infinite.
pub(crate) fn duration(timeout: f64) -> Option<Duration> {
    // What is too long to express is for ever.
    Duration::try_from_secs_f64(timeout / 1000.0).ok()
}

/// The negative code of a failed system call.
pub(crate) fn errno(error: &Error) -> i32 {
    -(error.errno() as i32)
}
