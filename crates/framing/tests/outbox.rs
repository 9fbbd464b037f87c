//! What waits for the kernel, and in which order it leaves.

use fdwire_framing::Outbox;
use proptest::prelude::*;
use std::io::IoSlice;
use std::rc::Rc;

type Shared = Rc<[u8]>;

fn gathered<F>(outbox: &Outbox<Shared, F>, max: usize) -> Vec<u8> {
    let mut slices: Vec<IoSlice<'_>> = Vec::new();
    outbox.gather(&mut slices, max);
    assert!(slices.len() <= max);
    slices.iter().flat_map(|slice| slice.iter().copied()).collect()
}

#[derive(Clone, Debug)]
enum Push {
    Bytes(Vec<u8>),
    Shared(Vec<u8>, usize, usize),
    Record(Vec<u32>),
}

fn push() -> impl Strategy<Value = Push> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        bytes().prop_map(Push::Bytes),
        (bytes(), 0..5usize, 0..5usize).prop_map(|(bytes, before, behind)| {
            let start = before.min(bytes.len());
            let end = bytes.len().saturating_sub(behind).max(start);
            Push::Shared(bytes, start, end)
        }),
        prop::collection::vec(any::<u32>(), 0..260).prop_map(Push::Record),
    ]
}

/// What one `sendmsg` put on the stream.
#[derive(Debug, PartialEq)]
enum Sent {
    Bytes(Vec<u8>),
    Record(u8, Vec<u32>),
}

proptest! {
    /// However little the kernel takes at a time, and whatever is queued in between, everything leaves in order and records
    /// leave alone.
    #[test]
    fn everything_leaves_in_order(
        pushes in prop::collection::vec(push(), 0..20),
        takes in prop::collection::vec(1..30usize, 1..10),
        max in 1..4usize,
    ) {
        let mut outbox: Outbox<Shared, u32> = Outbox::new();
        let mut expected: Vec<Sent> = Vec::new();
        let mut sent: Vec<Sent> = Vec::new();
        let mut pushes = pushes.into_iter();
        for take in takes.into_iter().cycle() {
            match pushes.next() {
                Some(push) => {
                    match push.clone() {
                        Push::Bytes(bytes) => outbox.push_bytes(&bytes),
                        Push::Shared(bytes, start, end) => outbox.push_shared(bytes.into(), start..end),
                        Push::Record(fds) => outbox.push_record(fds),
                    }
                    let bytes = match push {
                        Push::Bytes(bytes) => bytes,
                        Push::Shared(bytes, start, end) => bytes[start..end].to_vec(),
                        Push::Record(fds) => {
                            expected.push(Sent::Record((fds.len() % 256) as u8, fds));
                            Vec::new()
                        }
                    };
                    append(&mut expected, &bytes);
                }
                None if outbox.is_empty() => break,
                None => {}
            }
            let before = outbox.written();
            if let Some((byte, fds)) = outbox.record() {
                let fds = fds.to_vec();
                prop_assert!(gathered(&outbox, max).is_empty());
                prop_assert_eq!(outbox.advance(1), fds.clone());
                sent.push(Sent::Record(byte, fds));
            } else {
                let mut bytes = gathered(&outbox, max);
                prop_assert_eq!(bytes.is_empty(), outbox.is_empty());
                bytes.truncate(take);
                prop_assert!(outbox.advance(bytes.len()).is_empty());
                prop_assert_eq!(outbox.written() - before, bytes.len() as u64);
                append(&mut sent, &bytes);
            }
            prop_assert_eq!(outbox.len(), outbox.queued() - outbox.written());
            prop_assert_eq!(outbox.is_empty(), outbox.queued() == outbox.written());
        }
        prop_assert_eq!(sent, expected);
    }
}

fn append(sent: &mut Vec<Sent>, bytes: &[u8]) {
    match sent.last_mut() {
        _ if bytes.is_empty() => {}
        Some(Sent::Bytes(last)) => last.extend(bytes),
        _ => sent.push(Sent::Bytes(bytes.to_vec())),
    }
}

#[test]
fn small_copies_share_a_slice_and_large_ones_do_not() {
    let mut outbox: Outbox<Shared, u32> = Outbox::new();
    for _ in 0..1024 {
        outbox.push_bytes(&[7; 64]);
    }
    outbox.push_bytes(&[8]);
    let mut slices = Vec::new();
    outbox.gather(&mut slices, 1024);
    assert_eq!(slices.iter().map(|slice| slice.len()).collect::<Vec<_>>(), [65536, 1]);
}

#[test]
fn shared_bytes_are_neither_copied_nor_held_longer_than_needed() {
    let bytes: Shared = (0..100).collect();
    let mut outbox: Outbox<Shared, u32> = Outbox::new();
    outbox.push_shared(Rc::clone(&bytes), 10..20);
    let mut slices = Vec::new();
    outbox.gather(&mut slices, 1);
    assert_eq!(slices[0].as_ptr(), bytes[10..].as_ptr());
    outbox.advance(9);
    assert_eq!(Rc::strong_count(&bytes), 2);
    outbox.advance(1);
    assert_eq!(Rc::strong_count(&bytes), 1);
}

#[test]
fn one_advance_can_cover_several_records() {
    let mut outbox: Outbox<Shared, u32> = Outbox::new();
    outbox.push_record(vec![1, 2]);
    outbox.push_bytes(b"ab");
    outbox.push_record(vec![3]);
    outbox.push_bytes(b"cd");
    assert_eq!(outbox.advance(5), [1, 2, 3]);
    assert_eq!(gathered(&outbox, 9), b"d");
}

#[test]
fn what_went_out_directly_counts_as_queued_and_written() {
    let mut outbox: Outbox<Shared, u32> = Outbox::new();
    outbox.written_directly(10);
    outbox.push_bytes(b"rest");
    assert_eq!((outbox.queued(), outbox.written(), outbox.len()), (14, 10, 4));
}

#[test]
fn clear_drops_bytes_and_descriptors() {
    let fd = Rc::new(());
    let mut outbox: Outbox<Shared, Rc<()>> = Outbox::new();
    outbox.push_bytes(b"abc");
    outbox.push_record(vec![Rc::clone(&fd)]);
    outbox.advance(1);
    outbox.clear();
    assert_eq!(Rc::strong_count(&fd), 1);
    assert!(outbox.is_empty());
    assert_eq!((outbox.queued(), outbox.written()), (1, 1));
    outbox.push_bytes(b"xy");
    assert_eq!(gathered(&outbox, 9), b"xy");
}

#[test]
fn shared_bytes_that_are_next_tell_where_they_end() {
    let mut outbox: Outbox<Shared, u32> = Outbox::new();
    outbox.push_bytes(b"head");
    outbox.push_shared((0..100).collect(), 10..20);
    outbox.push_bytes(b"tail");
    assert_eq!(outbox.shared_until(), None);
    outbox.advance(4);
    assert_eq!(outbox.shared_until(), Some(14));
    outbox.advance(9);
    assert_eq!(outbox.shared_until(), Some(14));
    outbox.advance(1);
    assert_eq!(outbox.shared_until(), None);
}
