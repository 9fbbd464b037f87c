//! The hot path allocates nothing. A binary of its own with a single test: the allocator is the process's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::fd::AsFd;

use fdwire_ancillary::{ControlBuffer, Source, Target, pair, pipe, read, receive, send, write};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn sending_and_receiving_bytes_allocates_nothing() {
    let (left, right) = pair().unwrap();
    let (reader, writer) = pipe().unwrap();
    let mut control = ControlBuffer::new();
    let mut buffer = [0; 64];

    let before = ALLOCATIONS.get();
    for _ in 0..10 {
        assert_eq!(send(left.as_fd(), &[Source::new(&[1; 64])], &[], false), Ok(64));
        let received = receive(right.as_fd(), &mut [Target::new(&mut buffer)], &mut control, false).unwrap();
        assert_eq!(received.bytes, 64);
        assert_eq!(write(writer.as_fd(), &[Source::new(&[1; 64])], false), Ok(64));
        assert_eq!(read(reader.as_fd(), &mut Target::new(&mut buffer), false), Ok(64));
        assert_eq!(send(left.as_fd(), &[Source::new(b"x")], &[left.as_fd()], false), Ok(1));
        // One list of descriptors.
        receive(right.as_fd(), &mut [Target::new(&mut buffer)], &mut control, false).unwrap();
    }
    assert_eq!(ALLOCATIONS.get() - before, 10);
}
