//! The walk over control messages alone, for those who try it with any bytes: nothing here touches a descriptor.

use std::os::fd::RawFd;

use crate::control;

/// A control message, and its data as descriptors.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// `cmsg_level`
    pub level: i32,
    /// `cmsg_type`
    pub kind: i32,
    /// `CMSG_DATA`
    pub data: Vec<u8>,
    /// The numbers that it would be.
    pub descriptors: Vec<RawFd>,
}

/// What is found in a control buffer.
pub fn walk(control: &[u8]) -> Vec<Found> {
    let found = control::entries(control).map(|entry| Found {
        level: entry.level,
        kind: entry.kind,
        data: entry.data.to_vec(),
        descriptors: entry.descriptors().collect(),
    });
    found.collect()
}

/// A control buffer with these messages: level, kind, data.
pub fn append(messages: &[(i32, i32, Vec<u8>)]) -> Vec<u8> {
    let mut control = vec![0; messages.iter().map(|(.., data)| control::space(data.len())).sum()];
    let mut end = 0;
    for (level, kind, data) in messages {
        end = control::append(&mut control, end, *level, *kind, data.iter().copied());
    }
    control
}
