//! Control buffers of any bytes, and control messages written and cut anywhere.
#![no_main]

use fdwire_ancillary::fuzzing::{Found, append, walk};
use libfuzzer_sys::fuzz_target;

/// The same walk, plainly, where a header is a 64-bit length and two 32-bit numbers.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn model(control: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset + 16 <= control.len() {
        let number = |at: usize| i32::from_ne_bytes(control[at..at + 4].try_into().expect("four bytes"));
        let length = u64::from_ne_bytes(control[offset..offset + 8].try_into().expect("eight bytes"));
        if length < 16 {
            break;
        }
        let end = (offset as u64).saturating_add(length).min(control.len() as u64) as usize;
        let data = control[offset + 16..end].to_vec();
        let descriptors = data.chunks_exact(4);
        let descriptors = descriptors.map(|bytes| i32::from_ne_bytes(bytes.try_into().expect("four bytes")));
        found.push(Found {
            level: number(offset + 8),
            kind: number(offset + 12),
            descriptors: descriptors.filter(|fd| *fd >= 0).collect(),
            data,
        });
        offset = end.next_multiple_of(8);
    }
    found
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn model(control: &[u8]) -> Vec<Found> {
    walk(control)
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(walk(data), model(data));

    let Some((&cut, mut rest)) = data.split_first() else {
        return;
    };
    let mut messages = Vec::new();
    while let Some((head, tail)) = rest.split_at_checked(9) {
        let number = |at: usize| i32::from_ne_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let (content, tail) = tail.split_at(usize::from(head[8]).min(tail.len()));
        messages.push((number(0), number(4), content.to_vec()));
        rest = tail;
    }
    let control = append(&messages);
    let found = walk(&control);
    assert_eq!(found.len(), messages.len());
    for (found, (level, kind, data)) in found.iter().zip(&messages) {
        assert_eq!((found.level, found.kind, &found.data), (*level, *kind, data));
    }
    let short = walk(&control[..control.len() * usize::from(cut) / 255]);
    assert!(short.len() <= found.len());
    for (short, found) in short.iter().zip(&found) {
        assert!(found.data.starts_with(&short.data) && found.descriptors.starts_with(&short.descriptors));
    }
});
