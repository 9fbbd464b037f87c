//! Memory of shm_open(3) whose name is removed at once. macOS lets its size be set once only, so it cannot shrink.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::mman::{shm_open, shm_unlink};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::ftruncate;

use fdwire_system::{Error as SystemError, access_mode, check as named, retry, set_inheritable};

use crate::error::{Error, Result};

const SEALS: Error = Error::System(SystemError::Unsupported("sealing memory"));

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The name is one of our own: at most 30 bytes, and nobody sees it.
pub(crate) fn create(_name: &CStr, size: i64) -> Result<OwnedFd> {
    let fd = loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("/fdwire-{:x}-{count:x}", std::process::id());
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        match shm_open(name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(fd) => {
                named("shm_unlink", shm_unlink(name.as_str()))?;
                break fd;
            }
            // Left behind by a process of the same number that was killed in between.
            Err(Errno::EEXIST | Errno::EINTR) => {}
            Err(errno) => return Err(SystemError::system("shm_open", errno).into()),
        }
    };
    set_inheritable(fd.as_fd(), false)?;
    retry("ftruncate", || ftruncate(&fd, size))?;
    Ok(fd)
}

pub(crate) fn seals(_fd: BorrowedFd<'_>) -> Result<i32> {
    Err(SEALS)
}

pub(crate) fn add_seals(_fd: BorrowedFd<'_>, _seals: i32) -> Result<()> {
    Err(SEALS)
}

/// As `sealed::check`. Here such memory has no file type, and no private mappings.
pub(crate) fn check(fd: BorrowedFd<'_>) -> Result<bool> {
    let stat = named("fstat", fstat(fd))?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::empty() {
        return Err(Error::NotMemory);
    }
    if access_mode(fd)? == libc::O_RDONLY {
        return Err(SystemError::Unsupported("mapping memory that cannot be written").into());
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fdwire_system::inheritable;

    #[test]
    fn memory_has_its_size_and_no_name_and_is_close_on_exec() {
        let fd = create(c"ignored", 10_000).unwrap();
        let stat = fstat(&fd).unwrap();
        assert!(stat.st_size >= 10_000);
        assert_eq!(stat.st_nlink, 0);
        assert_eq!(inheritable(fd.as_fd()), Ok(false));
        assert_eq!(access_mode(fd.as_fd()), Ok(libc::O_RDWR));
    }

    #[test]
    fn files_and_pipes_are_no_memory() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(check(file.as_fd()), Err(Error::NotMemory));
        let (reader, _writer) = nix::unistd::pipe().unwrap();
        assert_eq!(check(reader.as_fd()), Err(Error::NotMemory));
    }

    #[test]
    fn there_are_no_seals() {
        let fd = create(c"", 1).unwrap();
        assert!(seals(fd.as_fd()) == Err(SEALS));
        assert!(add_seals(fd.as_fd(), 1) == Err(SEALS));
    }
}
