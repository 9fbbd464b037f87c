//! What holds the beginning of a large message.

use crate::memory::{Memory, Region};
use crate::outcome::Error;
use crate::settings::UNPROVEN;

/// What holds the beginning of a body. How much that is the decoder knows.
#[derive(Debug)]
pub(super) enum Holding<B> {
    /// Nothing: there is none yet.
    Nothing,
    /// What was copied out of memory that somebody wanted back.
    Bytes(Vec<u8>),
    /// Memory that is the receiver's once the message is whole.
    Own(B),
    /// A caller's, who waits for the message.
    Target(B),
    /// The memory is gone, and the message lost: its rest is read to be dropped.
    Lost,
}

/// A body, between calls.
#[derive(Debug)]
pub(super) struct Body<M> {
    pub(super) holding: Holding<M>,
    /// What went wrong while nobody asked.
    pub(super) failure: Option<Error>,
}

impl<B: Memory> Holding<B> {
    pub(super) fn region(&mut self) -> Option<Region<'_>> {
        match self {
            Holding::Own(memory) | Holding::Target(memory) => memory.region(),
            Holding::Bytes(bytes) => Some(Region::of(bytes)),
            Holding::Nothing | Holding::Lost => None,
        }
    }

    /// How much memory the body goes on in, where what there is does not do.
    pub(super) fn wanted(&mut self, length: u64, filled: u64) -> Option<u64> {
        let room = match self {
            Holding::Nothing => 0,
            Holding::Bytes(_) => filled,
            Holding::Own(memory) => {
                let room = memory.region().map_or(length, |region| region.len() as u64);
                if filled < room || room >= length {
                    return None;
                }
                room
            }
            Holding::Target(_) | Holding::Lost => return None,
        };
        Some(length.min(room.saturating_mul(16).max(UNPROVEN as u64)))
    }
}
