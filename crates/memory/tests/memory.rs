//! Shared memory: what one mapping writes another reads, and nothing a peer does makes touching one fatal.
#![cfg(not(target_vendor = "apple"))]
#![allow(clippy::unwrap_used)]

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fdwire_memory::{Error, Mapping, SEAL_SEAL, SEAL_SHRINK, SEAL_WRITE, add_seals, create_memory, seals};
use fdwire_system::{Errno, inheritable};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

const SIZE: u64 = 10_000;

fn map(fd: BorrowedFd<'_>) -> Mapping {
    Mapping::new(fd, None, u64::MAX).unwrap()
}

fn write(mapping: &Mapping, index: usize, byte: u8) {
    assert!(index < mapping.size());
    // SAFETY: within the mapping, which is mapped to be written.
    unsafe { mapping.address().as_ptr().cast::<u8>().add(index).write_volatile(byte) }
}

fn read(mapping: &Mapping, index: usize) -> u8 {
    assert!(index < mapping.size());
    // SAFETY: within the mapping.
    unsafe { mapping.address().as_ptr().cast::<u8>().add(index).read_volatile() }
}

fn unsealed(name: &CStr) -> OwnedFd {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    ftruncate(&fd, SIZE as i64).unwrap();
    fd
}

#[cfg(target_os = "linux")]
fn mappings_of(name: &CStr) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.matches(&format!("/memfd:{} ", name.to_str().unwrap())).count()
}

#[test]
fn all_mappings_of_a_memory_show_the_same_bytes() {
    let fd = create_memory(c"fdwire", SIZE).unwrap();
    assert_eq!(inheritable(fd.as_fd()), Ok(false));
    let (one, other) = (map(fd.as_fd()), map(fd.as_fd()));
    assert_eq!((one.size(), one.private()), (SIZE as usize, false));
    assert_eq!(read(&one, 9_999), 0);
    write(&one, 9_999, 7);
    assert_eq!(read(&other, 9_999), 7);
    drop(one);
    drop(fd);
    assert_eq!(read(&other, 9_999), 7);
}

#[test]
fn as_much_is_mapped_as_was_asked_for_and_never_more_than_there_is() {
    // macOS has memory in whole pages, of which the rest is left out.
    let fd = create_memory(c"fdwire", SIZE).unwrap();
    let part = Mapping::new(fd.as_fd(), Some(5_000), u64::MAX).unwrap();
    assert_eq!(part.size(), 5_000);
    write(&part, 4_999, 7);
    assert_eq!(read(&map(fd.as_fd()), 4_999), 7);
    for (size, max, errno) in [
        (SIZE + 1, u64::MAX, Errno::EINVAL),
        (0, u64::MAX, Errno::EINVAL),
        (2, 1, Errno::EFBIG),
    ] {
        let error = Mapping::new(fd.as_fd(), Some(size), max).unwrap_err();
        assert_eq!(error.errno(), errno);
    }
}

#[test]
fn memory_of_ours_cannot_shrink() {
    let fd = create_memory(c"fdwire", SIZE).unwrap();
    assert_eq!(seals(fd.as_fd()).unwrap() & SEAL_SHRINK, SEAL_SHRINK);
    assert_eq!(ftruncate(&fd, 0), Err(Errno::EPERM));
}

#[test]
fn memory_that_can_shrink_is_not_mapped_until_it_is_sealed() {
    let fd = unsealed(c"fdwire");
    assert_eq!(Mapping::new(fd.as_fd(), None, u64::MAX).unwrap_err(), Error::Shrinkable);
    add_seals(fd.as_fd(), SEAL_SHRINK).unwrap();
    map(fd.as_fd());
}

#[test]
fn what_is_no_memory_is_not_mapped() {
    let (reader, _writer) = nix::unistd::pipe().unwrap();
    let file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for fd in [reader.as_fd(), file.as_fd()] {
        let error = Mapping::new(fd, None, u64::MAX).unwrap_err();
        // A file on a tmpfs has seals, of which none can be set.
        assert!(matches!(error, Error::NotMemory | Error::Shrinkable), "{error}");
    }
}

#[test]
fn memory_that_is_empty_or_too_large_is_not_mapped() {
    let empty = create_memory(c"fdwire", 1).unwrap();
    assert_eq!(Mapping::new(empty.as_fd(), None, 0).unwrap_err().errno(), Errno::EFBIG);
    let empty = memfd_create(c"fdwire", MFdFlags::MFD_ALLOW_SEALING).unwrap();
    add_seals(empty.as_fd(), SEAL_SHRINK).unwrap();
    assert_eq!(Mapping::new(empty.as_fd(), None, 1).unwrap_err().errno(), Errno::EINVAL);
    let error = create_memory(c"fdwire", u64::MAX).unwrap_err();
    assert_eq!(error.errno(), Errno::EFBIG);
}

#[test]
fn what_is_written_to_memory_that_is_sealed_stays_here() {
    let fd = create_memory(c"fdwire", SIZE).unwrap();
    let writer = map(fd.as_fd());
    write(&writer, 0, 1);
    assert_eq!(add_seals(fd.as_fd(), SEAL_WRITE).unwrap_err().errno(), Errno::EBUSY);
    drop(writer);
    add_seals(fd.as_fd(), SEAL_WRITE | SEAL_SEAL).unwrap();
    let (one, other) = (map(fd.as_fd()), map(fd.as_fd()));
    assert!(one.private());
    write(&one, 0, 2);
    assert_eq!((read(&one, 0), read(&other, 0)), (2, 1));
    assert_eq!(add_seals(fd.as_fd(), SEAL_SHRINK).unwrap_err().errno(), Errno::EPERM);
}

#[test]
#[cfg(target_os = "linux")]
fn memory_sealed_against_future_writing_keeps_the_mapping_that_writes() {
    let fd = create_memory(c"fdwire", SIZE).unwrap();
    let writer = map(fd.as_fd());
    add_seals(fd.as_fd(), fdwire_memory::SEAL_FUTURE_WRITE).unwrap();
    let reader = map(fd.as_fd());
    assert!(reader.private());
    write(&writer, 5_000, 3);
    assert_eq!(read(&reader, 5_000), 3);
    write(&reader, 5_000, 4);
    assert_eq!(read(&writer, 5_000), 3);
}

#[test]
#[cfg(target_os = "linux")]
fn memory_opened_to_read_is_mapped_privately() {
    use std::os::fd::AsRawFd;
    let fd = create_memory(c"fdwire", SIZE).unwrap();
    let writer = map(fd.as_fd());
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let file = std::fs::File::open(path).unwrap();
    let reader = map(file.as_fd());
    assert!(reader.private());
    write(&writer, 0, 3);
    assert_eq!(read(&reader, 0), 3);
}

#[test]
#[cfg(target_os = "linux")]
fn memory_released_is_given_up_and_stays_safe_to_touch() {
    let name = c"fdwire-released";
    let fd = create_memory(name, SIZE).unwrap();
    let mapping = map(fd.as_fd());
    write(&mapping, 0, 1);
    assert_eq!(mappings_of(name), 1);
    mapping.release();
    assert_eq!(mappings_of(name), 0);
    assert_eq!(read(&mapping, 0), 0);
    write(&mapping, 9_999, 1);
    mapping.release();
    assert_eq!(read(&map(fd.as_fd()), 0), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_mapping_dropped_is_unmapped() {
    let name = c"fdwire-dropped";
    let fd = create_memory(name, SIZE).unwrap();
    let mappings = [map(fd.as_fd()), map(fd.as_fd())];
    assert_eq!(mappings_of(name), 2);
    drop(mappings);
    assert_eq!(mappings_of(name), 0);
}
